-- Public.
create or replace function bookingdb.list_opening_hours(
    p_therapist_id uuid,
    p_from date,
    p_to date,
    p_time_zone text default null
)
returns setof bookingdb.opening_period
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
set timezone = 'UTC'
as $function$
declare
    v_policy bookingdb.effective_policy;
    v_time_zone text;
    v_span tstzrange;
begin
    perform bookingdb.authorise_anyone();
    if p_therapist_id is null then
        perform bookingdb.raise_error('invalid_therapist_id');
    end if;
    perform bookingdb.require_known_therapist(p_therapist_id);
    v_policy := bookingdb.policy_of(p_therapist_id);
    v_time_zone := bookingdb.resolve_time_zone(p_time_zone, v_policy.time_zone);
    v_span := bookingdb.span_of_dates(p_from, p_to, v_time_zone);

    return query
    select lower(p.period), upper(p.period)
    from bookingdb.opening_times(array[v_policy], lower(v_span), upper(v_span)) as o
    cross join lateral unnest(o.open * tstzmultirange(v_span)) as p (period)
    order by p.period;
end;
$function$;

comment on function bookingdb.list_opening_hours(uuid, date, date, text) is
'Lists when a therapist works from p_from to p_to (both included, at most 366 days; dates of p_time_zone, else of the therapist''s zone): weekly hours and their overrides, as periods of timestamps in order, booked or not. A therapist who never had weekly hours and needs none is there all the time. For every logged-in user and for trusted callers. Raises: invalid_therapist_id.';
