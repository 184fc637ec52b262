-- Public.
create or replace function bookingdb.list_time_off(p_therapist_id uuid, p_from timestamptz, p_to timestamptz)
returns setof bookingdb.absence
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
    select
        a.id,
        lower(a.period),
        upper(a.period),
        a.reason,
        bookingdb.sessions_within(a.therapist_id, array[a.period])
    from bookingdb.absences as a
    where a.therapist_id = p_therapist_id
        and a.period && tstzrange(p_from, p_to)
        and a.kind = 'time_off'
    order by lower(a.period), a.id;
end;
$function$;

comment on function bookingdb.list_time_off(uuid, timestamptz, timestamptz) is
'Lists a therapist''s time off that overlaps the time from p_from to p_to, in order, each with the ids of the sessions that are booked in it all the same. For the therapist themselves and for trusted callers. Raises: invalid_parameter.';
