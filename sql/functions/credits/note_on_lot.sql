create or replace function bookingdb.note_on_lot(
    p_lot public.user_credits,
    p_kind text,
    p_amount integer,
    p_reason text
)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor, reason)
    values (
        p_lot.user_id, p_lot.id, p_kind, p_amount, p_lot.credits_balance + p_amount, bookingdb.actor(), p_reason
    );
    perform bookingdb.write_credits_event(
        case p_kind
            when 'extension' then 'credits.extended'
            when 'freeze' then 'credits.frozen'
            when 'thaw' then 'credits.thawed'
            when 'revocation' then 'credits.revoked'
        end,
        p_lot.user_id, p_lot.id, p_amount
    );
end;
$function$;

comment on function bookingdb.note_on_lot(public.user_credits, text, integer, text) is
'Writes what became of a lot to the ledger, and the event of it. Caller holds: the lock of the lot, as it stands.';
