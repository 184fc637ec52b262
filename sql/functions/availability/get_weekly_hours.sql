-- Public.
create or replace function bookingdb.get_weekly_hours(p_therapist_id uuid)
returns setof bookingdb.weekly_window
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
begin
    perform bookingdb.authorise_anyone();
    if p_therapist_id is null then
        perform bookingdb.raise_error('invalid_therapist_id');
    end if;
    perform bookingdb.require_known_therapist(p_therapist_id);

    return query
    select w.weekday, w.start_time, w.end_time, w.valid_from, w.valid_to, w.every_weeks, w.time_zone
    from bookingdb.weekly_hours as w
    where w.therapist_id = p_therapist_id
    order by w.weekday, w.start_time, w.valid_from nulls first, w.id;
end;
$function$;

comment on function bookingdb.get_weekly_hours(uuid) is
'Returns a therapist''s weekly hours in their local time, in order: weekday 1 (Monday) to 7, a window''s start and end (an end at or before the start is on the next day), from and to which date it is valid, that it is on every week or on every second one (third ...; counted from the week of valid_from), and its zone where that is not the therapist''s. Without any row the therapist is closed, or can be booked at any time if they never had hours: see is_bookable_any_time(). For every logged-in user and for trusted callers. Raises: invalid_therapist_id.';
