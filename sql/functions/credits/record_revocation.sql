create or replace function bookingdb.record_revocation(p_lot_id uuid, p_share numeric, p_reason text)
returns numeric
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_lot public.user_credits;
    v_key bytea;
    v_share numeric;
    v_lock_timeout text;
begin
    select c.*
    into v_lot
    from public.user_credits as c
    where c.id = p_lot_id;
    -- A reference that was erased is known by its key.
    v_key := coalesce(bookingdb.payment_key(v_lot.payment_reference), (
        select p.payment_key
        from bookingdb.payments as p
        where p.lot_id = p_lot_id
        limit 1
    ));
    if v_key is null then
        return case when v_lot.status = 'revoked' and p_share > 0 then 1 else p_share end;
    end if;

    begin
        v_lock_timeout := bookingdb.limit_wait();
        insert into bookingdb.payments as p (
            payment_key, payment_reference, lot_id, user_id, revoked_share, reason, actor
        )
        values (
            v_key, v_lot.payment_reference, v_lot.id, v_lot.user_id, p_share, p_reason, bookingdb.actor()
        )
        on conflict (payment_key) do update set
            lot_id = excluded.lot_id,
            revoked_share = excluded.revoked_share,
            reason = coalesce(excluded.reason, p.reason),
            actor = excluded.actor
        where p.revoked_share < p_share or (p_share = 0 and p.revoked_share > 0);
        perform set_config('lock_timeout', v_lock_timeout, true);
    exception
        when lock_not_available then
            perform bookingdb.raise_error('busy');
    end;
    select p.revoked_share
    into v_share
    from bookingdb.payments as p
    where p.payment_key = v_key;
    return case when v_lot.status = 'revoked' and p_share > 0 then 1 else v_share end;
end;
$function$;

comment on function bookingdb.record_revocation(uuid, numeric, text) is
'Notes the share of a lot''s payment that was revoked (0: none any more), which otherwise never goes down; returns it. Caller holds: the locks of lock_family(). Raises: busy.';
