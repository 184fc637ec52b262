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
begin
    if exists (
        select from bookingdb.busy_times(
            p_policy, tstzrange(lower(p_period), lower(p_period), '[]'), upper(p_period) - lower(p_period), p_except_id
        ) as b
        where b.starts @> lower(p_period)
    ) then
        return false;
    end if;
    return bookingdb.is_within_hours_and_limits(p_policy, p_period, p_except_id, p_with_hours, p_with_limits);
end;
$function$;

comment on function bookingdb.is_free(bookingdb.effective_policy, tstzrange, uuid, boolean, boolean) is
'Says whether a policy''s therapist is free for a period: no busy_times(), and is_within_hours_and_limits(). The check and direct writes ask here; bookings ask require_free_time(), which names the rule.';
