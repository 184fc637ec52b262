create or replace function bookingdb.remember_revocation(
    p_payment_reference text,
    p_share numeric,
    p_reason text
)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_key constant bytea := bookingdb.payment_key(p_payment_reference);
    v_is_done boolean := false;
    v_lock_timeout text;
begin
    begin
        v_lock_timeout := bookingdb.limit_wait();
        if p_share > 0 then
            -- DO UPDATE would lock the row of a payment that has a lot: a deadlock with a call that holds its people.
            insert into bookingdb.payments (payment_key, payment_reference, revoked_share, reason, actor)
            values (v_key, p_payment_reference, p_share, p_reason, bookingdb.actor())
            on conflict do nothing;
            v_is_done := found;
        end if;
        if not v_is_done then
            update bookingdb.payments as p
            set revoked_share = case when p_share > 0 then greatest(p.revoked_share, p_share) else 0 end,
                reason = coalesce(p_reason, p.reason),
                actor = bookingdb.actor()
            where p.payment_key = v_key and p.lot_id is null;
            v_is_done := found;
        end if;
        perform set_config('lock_timeout', v_lock_timeout, true);
        if not v_is_done then
            -- A row that got a lot while this waited for it stays locked, unless the subtransaction is undone.
            raise exception using errcode = 'integrity_constraint_violation';
        end if;
    exception
        when lock_not_available then
            perform bookingdb.raise_error('busy');
        when integrity_constraint_violation then
            return false;
    end;
    return true;
end;
$function$;

comment on function bookingdb.remember_revocation(text, numeric, text) is
'Notes that a share of a payment without a lot was revoked, which applies to the lot to come; 0: forgets it. Returns false, with no lock, where the payment has a lot. Raises: busy.';
