create or replace function bookingdb.is_within_hours_and_limits(
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
    -- A therapist who needs no hours and never had any is always there. (The conditions are nested: an expression with
    -- a query in it is run as a query, even where its first part decides.)
    if p_with_hours and (p_policy.require_hours or p_policy.has_hours) then
        if not exists (
            select from bookingdb.opening_windows(array[p_policy], lower(p_period), upper(p_period)) as w
            where w.period @> p_period
        ) then
            -- A session may cross from one window into the next that touches it.
            if not exists (
                select from bookingdb.opening_times(array[p_policy], lower(p_period), upper(p_period)) as o
                where o.open @> p_period
            ) then
                return false;
            end if;
        end if;
    end if;
    if p_with_limits and least(p_policy.maximum_sessions_per_day, p_policy.maximum_sessions_per_week) < 1000 then
        return not exists (
            select from bookingdb.full_times(
                p_policy, tstzrange(lower(p_period), lower(p_period), '[]'), p_except_id
            ) as f
            where f.period @> lower(p_period)
        );
    end if;
    return true;
end;
$function$;

comment on function bookingdb.is_within_hours_and_limits(
    bookingdb.effective_policy, tstzrange, uuid, boolean, boolean
) is
'Says whether a period lies in the hours (opening_windows) and limits (full_times) of a policy''s therapist, p_except_id left out. p_with_hours and p_with_limits false skip the one or the other.';
