create or replace function bookingdb.require_direct_sessions(p_session_ids uuid[])
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- A hold of this id could never be booked, and other calendars know time off by its id (is_own_entry).
    if exists (
        select from bookingdb.calendar as c
        where c.id = any (p_session_ids) and c.kind = 'hold'
    ) or exists (
        select from bookingdb.absences as a
        where a.id = any (p_session_ids) and a.external_source is distinct from 'adoption'
    ) then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'id', 'reason', 'held'
        ));
    end if;

    -- keep_times_together() leaves charged sessions to our functions, which never insert one again that was deleted.
    perform bookingdb.require_agreeing_times(s, coalesce(z.name, p.time_zone), true, true)
    from public.sessions as s
    cross join lateral bookingdb.policy_of(s.therapist_id) as p
    left join bookingdb.time_zones as z on z.name = s.time_zone
    where s.id = any (p_session_ids)
        and s.credits_charged <> 0
        and exists (
            select from public.booking_audit_log as a
            where a.session_id = s.id and a.action = 'deleted'
            offset 0
        );
end;
$function$;

comment on function bookingdb.require_direct_sessions(uuid[]) is
'Refuses new sessions that have the id of a hold or an absence, and charged ones whose times contradict each other. Raises: invalid_parameter.';
