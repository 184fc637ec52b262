create or replace function bookingdb.open_grace_lot(
    p_session public.sessions,
    p_debit bookingdb.ledger,
    p_kind text,
    p_lot public.user_credits,
    p_reason text default null,
    p_actor text default null
)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_grace_id constant uuid := gen_random_uuid();
begin
    -- A new version of the lot tells revoke_grant() in an older snapshot of the grace lot that it cannot see.
    update public.user_credits as c
    set updated_at = now()
    where c.id = p_lot.id;
    insert into bookingdb.ledger (
        user_id, lot_id, session_id, kind, amount, balance_after, actor, charge, part, reason
    )
    values (
        p_debit.user_id, v_grace_id, p_session.id, p_kind, -p_debit.amount, -p_debit.amount,
        coalesce(p_actor, bookingdb.actor()), p_debit.charge, p_debit.part, p_reason
    );
    perform bookingdb.write_credits_event(
        'credits.refunded', p_debit.user_id, v_grace_id, -p_debit.amount, p_session.id
    );
    begin
        -- The foreign key waits for whoever holds the client's own row.
        insert into public.user_credits (
            id, user_id, user_type, credits_balance, expires_at, status, category, priority, grace_for_lot_id
        )
        values (
            v_grace_id, p_debit.user_id, coalesce(p_lot.user_type, 'user'), -p_debit.amount,
            bookingdb.add_elapsed(
                clock_timestamp(), (bookingdb.policy_of(p_session.therapist_id)).refund_grace
            ),
            'active', coalesce(p_lot.category, 'paid'), coalesce(p_lot.priority, 50), p_debit.lot_id
        );
        if not found then
            perform bookingdb.raise_write_swallowed();
        end if;
    exception
        when lock_not_available then
            perform bookingdb.raise_error('busy');
    end;
end;
$function$;

comment on function bookingdb.open_grace_lot(
    public.sessions, bookingdb.ledger, text, public.user_credits, text, text
) is
'Returns what a debit took from p_lot (NULLs: it is gone), which has expired, in a lot that the client has time to spend. Caller holds: the client''s lock. Raises: busy.';
