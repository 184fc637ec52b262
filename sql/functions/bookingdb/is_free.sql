create or replace function bookingdb.is_free(
    p_policy bookingdb.effective_policy,
    p_period tstzrange,
    p_except_id uuid,
    p_with_hours boolean,
    p_with_limits boolean
)
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_start constant tstzrange := tstzrange(lower(p_period), lower(p_period), '[]');
begin
    if exists (
        select from bookingdb.busy_times(
            p_policy, v_start, upper(p_period) - lower(p_period), p_except_id
        ) as b
        where b.starts @> lower(p_period)
    ) then
        return false;
    end if;
    if p_with_hours and not exists (
        select from bookingdb.opening_times(array[p_policy.therapist_id], lower(p_period), upper(p_period)) as o
        where o.open @> p_period
    ) then
        return false;
    end if;
    return not (
        p_with_limits
        and least(p_policy.maximum_sessions_per_day, p_policy.maximum_sessions_per_week) < 1000
        and exists (
            select from bookingdb.full_times(p_policy, v_start, p_except_id) as f
            where f.period @> lower(p_period)
        )
    );
end;
$function$;

comment on function bookingdb.is_free(bookingdb.effective_policy, tstzrange, uuid, boolean, boolean) is
'Whether the therapist of a policy is free for a session of this period, not counting p_except_id: it lies in opening_times(), and starts in none of busy_times() and full_times(). p_with_hours, p_with_limits false: without regard to hours, to limits. The check, the booking and direct writes ask here; free_times() is the same for all instants of a span.';
