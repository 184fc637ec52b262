create or replace function bookingdb.pass_on_sessions(p_from_id uuid, p_into_id uuid, p_locked_ids uuid[])
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_session_ids uuid[];
    v_expected integer;
    v_passed integer;
begin
    -- Sessions that were booked during the wait. They come before people, so this waits for nobody.
    begin
        perform s.id
        from public.sessions as s
        where s.user_id = p_from_id and s.id <> all (p_locked_ids)
        order by s.id
        for update nowait;
    exception
        when lock_not_available then
            perform bookingdb.raise_error('busy');
    end;
    perform bookingdb.give_up_times(p_from_id, p_into_id);
    perform bookingdb.require_one_place(p_from_id, p_into_id);

    v_session_ids := array(select s.id from public.sessions as s where s.user_id = p_from_id);
    v_expected := cardinality(v_session_ids);
    -- The calendar first, as every function of bookingdb: the therapists keep their times as they are.
    update bookingdb.calendar as c
    set client_id = p_into_id
    where c.id = any (v_session_ids) and c.kind = 'session';
    -- Where the other client is a therapist as well, these sessions keep their time in that part, too.
    if exists (select from bookingdb.people as p where p.id = p_into_id and p.user_type = 'therapist') then
        perform bookingdb.mirror_time(c.id, c.therapist_id, c.client_id)
        from (
            select k.id, k.therapist_id, k.client_id
            from bookingdb.calendar as k
            where k.id = any (v_session_ids) and k.kind = 'session' and upper(k.period) > clock_timestamp()
            order by lower(k.period), k.id
        ) as c;
    end if;
    update bookingdb.absences as a
    set client_id = p_into_id
    where a.id = any (v_session_ids) and a.external_source = 'adoption';
    update bookingdb.overlapping_sessions as o
    set user_id = p_into_id
    where o.session_id = any (v_session_ids);
    update public.sessions as s
    set user_id = p_into_id,
        updated_at = now()
    where s.id = any (v_session_ids);
    get diagnostics v_passed = row_count;
    if v_passed <> v_expected then
        perform bookingdb.raise_write_swallowed();
    end if;
    return v_passed;
end;
$function$;

comment on function bookingdb.pass_on_sessions(uuid, uuid, uuid[]) is
'Gives a client''s sessions to another client, and returns how many. Caller holds: the locks of both people and of the sessions p_locked_ids. Raises: busy.';
