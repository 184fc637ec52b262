-- Public.
create or replace function bookingdb.find_available_therapists(
    p_from timestamptz,
    p_to timestamptz,
    p_duration_minutes integer default 60,
    p_therapist_ids uuid[] default null,
    p_limit integer default 20
)
returns setof bookingdb.available_therapist
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
    v_length interval;
    v_time_zones text[];
    v_policies bookingdb.effective_policy[];
    v_span tstzrange;
    v_last timestamptz;
    v_hours integer := 12;
    v_candidate bookingdb.free_time;
    v_policy bookingdb.effective_policy;
    v_starts tstzmultirange;
    v_start timestamptz;
    v_found_ids uuid[] := '{}';
    v_found_starts timestamptz[] := '{}';
    v_worst timestamptz;
    v_worst_id uuid;
begin
    perform bookingdb.authorise_anyone();
    perform bookingdb.require_session_minutes(p_duration_minutes);
    perform bookingdb.require_instant('p_from', p_from);
    perform bookingdb.require_instant('p_to', p_to);
    if p_to < p_from or p_to - p_from > interval '366 days' then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_to', 'maximum_days', 366
        ));
    end if;
    perform bookingdb.require_limit(p_limit);

    -- Therapists who can be booked at all, and for this duration.
    v_policies := array(select p from bookingdb.policies_of(case
        when p_therapist_ids is null then array(select t.id from bookingdb.therapists as t)
        else array(select t.id from bookingdb.therapists as t where t.id = any (p_therapist_ids))
    end) as p);
    v_length := make_interval(mins => p_duration_minutes);
    -- A therapist in a zone that this server has lost is left out; everybody else is found.
    v_time_zones := array(
        select z.name
        from (select distinct p.time_zone from unnest(v_policies) as p) as z (name)
        where bookingdb.is_time_zone(z.name)
    );
    select coalesce(array_agg(p), '{}'), max(upper(s.span))
    into v_policies, v_last
    from unnest(v_policies) as p
    cross join lateral bookingdb.bookable_span(p) as s (span)
    where p_duration_minutes between p.minimum_duration_minutes and p.maximum_duration_minutes
        and s.span && tstzrange(p_from, p_to)
        and p.time_zone = any (v_time_zones);

    -- The whole session lies in the span. The search takes the next hours first, then ever longer stretches, until it
    -- has found enough: a later stretch has no earlier start.
    v_last := least(v_last, p_to - v_length);
    v_span := tstzrange(greatest(p_from, clock_timestamp()), null);
    while lower(v_span) <= v_last and cardinality(v_found_ids) < p_limit and cardinality(v_policies) > 0 loop
        v_span := tstzrange(
            lower(v_span), least(v_last, lower(v_span) + make_interval(hours => v_hours)), '[]'
        );
        -- Candidates come in order of their first free timestamp. Their first slot is not before it, so that nobody
        -- after the last of enough results is looked at.
        for v_candidate in
            select f.therapist_id, f.starts, f.windows
            from bookingdb.free_times(v_policies, v_span, v_length, null, true) as f
            where not isempty(f.starts)
            order by lower(f.starts), f.therapist_id
        loop
            exit when (lower(v_candidate.starts), v_candidate.therapist_id) > (v_worst, v_worst_id);
            v_policy := bookingdb.policy_of(v_candidate.therapist_id);
            v_starts := v_candidate.starts * tstzmultirange(bookingdb.bookable_span(v_policy));
            continue when isempty(v_starts);
            -- Mostly the first day has a slot, so it is searched first.
            select coalesce(
                (
                    select s.start
                    from bookingdb.slot_starts(
                        v_starts * tstzmultirange(tstzrange(null, lower(v_starts) + interval '24 hours')),
                        v_policy.time_zone, v_policy.slot_step_minutes, v_policy.slot_offset_minutes,
                        v_candidate.windows
                    ) as s (start)
                    order by s.start
                    limit 1
                ),
                (
                    select s.start
                    from bookingdb.slot_starts(
                        v_starts, v_policy.time_zone, v_policy.slot_step_minutes, v_policy.slot_offset_minutes,
                        v_candidate.windows
                    ) as s (start)
                    order by s.start
                    limit 1
                )
            )
            into v_start;
            continue when v_start is null;

            v_found_ids := v_found_ids || v_candidate.therapist_id;
            v_found_starts := v_found_starts || v_start;
            if cardinality(v_found_ids) >= p_limit then
                select n.start, n.id
                into v_worst, v_worst_id
                from unnest(v_found_starts, v_found_ids) as n (start, id)
                order by n.start, n.id
                offset p_limit - 1
                limit 1;
            end if;
        end loop;

        v_policies := array(
            select p
            from unnest(v_policies) as p
            where p.therapist_id <> all (v_found_ids)
        );
        exit when upper(v_span) >= v_last;
        v_span := tstzrange(upper(v_span), null);
        v_hours := v_hours * 2;
    end loop;

    return query
    select n.id, n.start, n.start + v_length
    from unnest(v_found_ids, v_found_starts) as n (id, start)
    order by n.start, n.id
    limit p_limit;
end;
$function$;

comment on function bookingdb.find_available_therapists(timestamptz, timestamptz, integer, uuid[], integer) is
'Finds therapists who can be booked for p_duration_minutes from p_from to p_to (at most 366 days; the whole session lies between the two), each with their first slot, the earliest first, at most p_limit (1 to 1000) of them. p_therapist_ids limits the search to these; NULL searches all. For every logged-in user and for trusted callers. Raises: invalid_parameter.';
