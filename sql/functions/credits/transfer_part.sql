create or replace function bookingdb.transfer_part(
    p_lot public.user_credits,
    p_to_user_id uuid,
    p_amount integer,
    p_reason text
)
returns uuid
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_new_id constant uuid := bookingdb.new_id();
    v_lock_timeout text;
begin
    insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor, reason, source_lot_id)
    values
    (
        p_lot.user_id, p_lot.id, 'transfer', -p_amount, p_lot.credits_balance - p_amount, bookingdb.actor(), p_reason,
        null
    ),
    (p_to_user_id, v_new_id, 'transfer', p_amount, p_amount, bookingdb.actor(), p_reason, p_lot.id);
    update public.user_credits as c
    set credits_balance = c.credits_balance - p_amount,
        status = case when c.credits_balance = p_amount then 'used' else c.status end,
        updated_at = now()
    where c.id = p_lot.id;
    if not found then
        perform bookingdb.raise_write_swallowed();
    end if;
    begin
        v_lock_timeout := bookingdb.limit_wait();
        -- The foreign key waits for whoever holds the client's own row. A grace lot stays one, so that nobody gets
        -- grace twice by passing credits on.
        insert into public.user_credits (
            id, user_id, user_type, credits_balance, expires_at, status, category, priority, grace_for_lot_id,
            package_id
        )
        values (
            v_new_id, p_to_user_id, 'user', p_amount, p_lot.expires_at, 'active', p_lot.category, p_lot.priority,
            p_lot.grace_for_lot_id, p_lot.package_id
        );
        if not found then
            perform bookingdb.raise_write_swallowed();
        end if;
        perform set_config('lock_timeout', v_lock_timeout, true);
    exception
        when lock_not_available then
            perform bookingdb.raise_error('busy');
    end;
    perform bookingdb.write_credits_event('credits.transferred', p_lot.user_id, p_lot.id, -p_amount);
    perform bookingdb.write_credits_event('credits.transferred', p_to_user_id, v_new_id, p_amount);
    return v_new_id;
end;
$function$;

comment on function bookingdb.transfer_part(public.user_credits, uuid, integer, text) is
'Takes credits from a lot that is locked, makes a lot of another client from them, and returns its id. Caller holds: the locks of both clients and of the lot. Raises: busy.';
