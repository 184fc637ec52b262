-- Public.
create or replace function bookingdb.list_calendar_changes(
    p_therapist_id uuid,
    p_from timestamptz,
    p_to timestamptz
)
returns setof bookingdb.calendar_change
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
begin
    perform bookingdb.authorise_therapist(p_therapist_id);
    perform bookingdb.require_instant('p_from', p_from);
    perform bookingdb.require_instant('p_to', p_to);
    if p_to < p_from then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_to', 'reason', 'before_from'
        ));
    end if;

    return query
    select e.session_id, e.start_time, e.end_time, e.sequence, e.has_left
    from (
        select s.id, s.start_time, s.end_time, (
                select count(*) from public.booking_audit_log as a where a.session_id = s.id and a.action <> 'created'
            )::integer, false
        from public.sessions as s
        where s.therapist_id = p_therapist_id and s.start_time >= p_from and s.start_time < p_to
        union all
        select f.session_id, f.start_time, f.end_time, f.sequence, true
        from bookingdb.former_therapists as f
        where f.therapist_id = p_therapist_id
            and f.start_time >= p_from
            and f.start_time < p_to
            -- It may have come back. A look-up by id, whatever the statistics say.
            and (
                select s.therapist_id from public.sessions as s where s.id = f.session_id
            ) is distinct from p_therapist_id
    ) as e (session_id, start_time, end_time, sequence, has_left)
    order by e.start_time, e.session_id;
end;
$function$;

comment on function bookingdb.list_calendar_changes(uuid, timestamptz, timestamptz) is
'Lists the sessions that start from p_from up to p_to in a therapist''s calendar, in order: how often each was changed (sequence, as in iCalendar), and those that left it since (has_left), to another therapist or deleted, at the time, and with the sequence, they had then. For the therapist themselves and for trusted callers. Raises: invalid_parameter.';
