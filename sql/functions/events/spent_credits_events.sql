create or replace function bookingdb.spent_credits_events(p_event bookingdb.outbox)
returns setof bookingdb.typed_event
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    -- A client with so few credits hears that they are running out.
    c_low constant integer := 1;
    v_since timestamptz;
    v_debit bookingdb.ledger;
    v_part integer := 0;
    v_left integer;
begin
    -- Debits are written before the change of the session that they pay for, and that before its audit row: those since
    -- the change before are this one's. (A booking writes its audit row before the event.)
    select max(a.created_at)
    into v_since
    from public.booking_audit_log as a
    where a.session_id = p_event.subject_id
        and a.created_at < p_event.created_at
        and (p_event.event <> 'session.created' or a.action = 'deleted');
    for v_debit in
        select l.*
        from bookingdb.ledger as l
        where l.session_id = p_event.subject_id
            and l.kind = 'debit'
            and l.created_at > coalesce(v_since, '-infinity')
            and l.created_at <= p_event.created_at
        order by l.charge, l.part
    loop
        v_part := v_part + 1;
        return next row(v_part, 'credits.spent', v_debit.lot_id, jsonb_build_object(
            'lot_id', v_debit.lot_id, 'user_id', v_debit.user_id, 'amount', v_debit.amount,
            'session_id', v_debit.session_id, 'credits_left_in_lot', v_debit.balance_after
        ))::bookingdb.typed_event;
    end loop;
    if v_part = 0 then
        return;
    end if;

    -- What the client could spend then is what they can spend now without what happened since.
    v_left := bookingdb.credits_balance(v_debit.user_id) - (
        select coalesce(sum(l.amount), 0)
        from bookingdb.ledger as l
        -- offset 0 makes it a look-up by id, whatever the statistics say.
        cross join lateral (
            select
            from public.user_credits as u
            where u.id = l.lot_id
                and u.user_type = 'user'
                and u.status in ('active', 'used')
                and (u.expires_at is null or u.expires_at > clock_timestamp())
            offset 0
        ) as c
        where l.user_id = v_debit.user_id and l.created_at >= v_debit.created_at and l.id > v_debit.id
    );
    if v_left <= c_low then
        return next row(v_part + 1, 'credits.low', v_debit.user_id, jsonb_build_object(
            'user_id', v_debit.user_id, 'credits_left', greatest(v_left, 0), 'session_id', v_debit.session_id
        ))::bookingdb.typed_event;
    end if;
end;
$function$;

comment on function bookingdb.spent_credits_events(bookingdb.outbox) is
'Returns the events of the credits that a booking, an approval or a reopening took, and whether the client has few left.';
