create or replace function bookingdb.reopened_status(p_session public.sessions, p_charge bookingdb.session_charge)
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_status text;
begin
    -- A direct writer brought the session back without its credit: only that is missing (check_payment). What comes
    -- back after a session is goodwill, and lacks nothing.
    if p_charge.is_returned
        and (
            (bookingdb.occupies_time(p_session.status) and p_session.status <> 'pending_approval')
            or (
                p_session.status in ('completed', 'no_show')
                and (
                    select l.kind
                    from bookingdb.ledger as l
                    where l.session_id = p_session.id
                    order by l.charge desc, l.part desc, l.kind desc
                    limit 1
                ) = 'refund'
            )
        ) then
        return p_session.status;
    end if;

    if p_session.status not in ('cancelled', 'completed', 'no_show') then
        return null;
    end if;
    v_status := bookingdb.last_active_status(p_session);
    -- A request whose time has come can be approved no more.
    if v_status = 'pending_approval' and (p_session.start_time > clock_timestamp()) is not true then
        return null;
    end if;
    return v_status;
end;
$function$;

comment on function bookingdb.reopened_status(public.sessions, bookingdb.session_charge) is
'Returns the status that a session gets when its end is undone: the last in which it took place; NULL where there is nothing to undo.';
