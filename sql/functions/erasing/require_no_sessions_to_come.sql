create or replace function bookingdb.require_no_sessions_to_come(p_people uuid[])
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_now constant timestamptz := clock_timestamp();
    v_occupying constant text[] := bookingdb.occupying_statuses();
    v_session_id uuid;
    v_hold_id uuid;
begin
    select s.id
    into v_session_id
    from public.sessions as s
    where (s.user_id = any (p_people) or s.therapist_id = any (p_people))
        and s.end_time > v_now
        and s.status = any (v_occupying)
    order by s.start_time
    limit 1;
    select c.id
    into v_hold_id
    from bookingdb.calendar as c
    where c.kind = 'hold'
        and (c.client_id = any (p_people) or c.therapist_id = any (p_people))
        and c.expires_at > v_now
    limit 1;
    if num_nonnulls(v_session_id, v_hold_id) > 0 then
        perform bookingdb.raise_error('person_in_use', jsonb_strip_nulls(jsonb_build_object(
            'user_id', p_people[1], 'session_id', v_session_id, 'hold_id', v_hold_id
        )));
    end if;
end;
$function$;

comment on function bookingdb.require_no_sessions_to_come(uuid[]) is
'Refuses people who have sessions to come, or holds. Caller holds: their locks. Raises: person_in_use.';
