create or replace function bookingdb.is_open(
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
begin
    if p_with_hours
        -- Who has no hours and needs none is there at all times: nothing has to be worked out.
        and (
            p_policy.require_hours
            or exists (select from bookingdb.weekly_hours as w where w.therapist_id = p_policy.therapist_id)
            or exists (select from bookingdb.date_overrides as d where d.therapist_id = p_policy.therapist_id)
        )
        and not exists (
            select from bookingdb.opening_times(array[p_policy.therapist_id], lower(p_period), upper(p_period)) as o
            where o.open @> p_period
        ) then
        return false;
    end if;
    return not (
        p_with_limits
        and least(p_policy.maximum_sessions_per_day, p_policy.maximum_sessions_per_week) < 1000
        and exists (
            select from bookingdb.full_times(
                p_policy, tstzrange(lower(p_period), lower(p_period), '[]'), p_except_id
            ) as f
            where f.period @> lower(p_period)
        )
    );
end;
$function$;

comment on function bookingdb.is_open(bookingdb.effective_policy, tstzrange, uuid, boolean, boolean) is
'Whether a session of this period lies in the hours of the therapist of a policy (opening_times) and within its limits (full_times), not counting p_except_id. p_with_hours, p_with_limits false: without regard to hours, to limits.';
