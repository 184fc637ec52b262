create or replace function bookingdb.has_current_rules(p_time_zone text)
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_latest bookingdb.time_zone_rules;
    v_rules bookingdb.zone_rules;
begin
    if not bookingdb.is_time_zone(p_time_zone) then
        return false;
    end if;
    select r.*
    into v_latest
    from bookingdb.time_zone_rules as r
    where r.time_zone = p_time_zone
    order by r.id desc
    limit 1;
    if not found then
        return true;
    end if;

    v_rules := bookingdb.zone_rules(p_time_zone, v_latest.starts_at[1], v_latest.known_until);
    return (v_rules.starts_at, v_rules.utc_offsets) = (v_latest.starts_at, v_latest.utc_offsets)
        -- NULL for a caller other than the owner.
        or coalesce((
            select a.backend_start > v_latest.recorded_at
            from pg_stat_get_activity(pg_backend_pid()) as a
        ), false);
end;
$function$;

comment on function bookingdb.has_current_rules(text) is
'Says whether this connection can know a zone''s rules of today: they are those recorded last, or it began after that. A connection reads a zone once, and keeps what it read.';
