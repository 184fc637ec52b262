create or replace function bookingdb.opening_times(
    p_policies bookingdb.effective_policy[],
    p_from timestamptz,
    p_to timestamptz,
    p_with_windows boolean default false
)
returns setof bookingdb.opening_time
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_policies bookingdb.effective_policy[];
begin
    -- Therapists who need no hours and never had any are always there.
    return query
    select t.therapist_id, tstzmultirange '{(,)}', null::bookingdb.opening_window[]
    from unnest(p_policies) as t
    where not (t.require_hours or t.has_hours);

    v_policies := array(select t from unnest(p_policies) as t where t.require_hours or t.has_hours);
    if v_policies = '{}' then
        return;
    end if;
    return query
    select
        w.therapist_id,
        coalesce(range_agg(w.period), '{}'),
        array_agg((w.period, w.time_zone)::bookingdb.opening_window)
            filter (where p_with_windows and w.time_zone is not null)
    from bookingdb.opening_windows(v_policies, p_from, p_to) as w
    group by w.therapist_id;
end;
$function$;

comment on function bookingdb.opening_times(bookingdb.effective_policy[], timestamptz, timestamptz, boolean) is
'Returns when these policies'' therapists work between two timestamps, and a little beyond, by opening_windows(). windows: each by itself, for the grid of slots.';
