create or replace function bookingdb.lapse_sessions(p_session_ids uuid[], p_all boolean)
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_session public.sessions;
    v_lot_ids uuid[];
    v_lapsed integer := 0;
begin
    if p_session_ids = '{}' then
        return 0;
    end if;

    -- A booking has locked its people already, and sessions come before people: it waits for nobody who approves or
    -- changes one now.
    for v_session in
        select s.*
        from public.sessions as s
        where s.id = any (p_session_ids)
            and s.status = 'pending_approval'
            and s.approval_until <= clock_timestamp()
        order by s.id
        for update skip locked
    loop
        -- Credits are the client's. Those of a session that was charged before it waited come back, to lots that
        -- return_credit() would wait for.
        if (bookingdb.last_charge(v_session.id)).credits > 0 then
            continue when not bookingdb.try_lock_people(array[v_session.user_id]);
            v_lot_ids := array(
                select c.id
                from public.user_credits as c
                where c.id = any (array(
                    select l.lot_id from bookingdb.ledger as l where l.session_id = v_session.id and l.kind = 'debit'
                ))
            );
            continue when cardinality(v_lot_ids) > cardinality(array(
                select c.id
                from public.user_credits as c
                where c.id = any (v_lot_ids)
                for update skip locked
            ));
        end if;

        -- The mark tells record_session_change() of a lapse. Nobody else can make it, and sync_calendar() removes the
        -- row. Those without a place in the calendar are in nobody's way: housekeeping finds them, as its caller's act.
        update bookingdb.calendar as c
        set is_lapsed = true
        where c.id = v_session.id and c.kind = 'session';
        perform bookingdb.return_credit(v_session, null, 'bookingdb');
        update public.sessions as s
        set status = 'cancelled',
            cancellation_reason = 'lapsed',
            updated_at = now()
        where s.id = v_session.id;
        if not found then
            perform bookingdb.raise_write_swallowed();
        end if;
        v_lapsed := v_lapsed + 1;
    end loop;

    if p_all and v_lapsed < (select count(distinct i.id) from unnest(p_session_ids) as i (id)) then
        perform bookingdb.raise_error('busy');
    end if;
    return v_lapsed;
end;
$function$;

comment on function bookingdb.lapse_sessions(uuid[], boolean) is
'Cancels sessions that waited for approval too long, as nobody''s act, but for those that (or whose lots) somebody has locked, and returns how many. Raises: busy (p_all, and one was locked).';
