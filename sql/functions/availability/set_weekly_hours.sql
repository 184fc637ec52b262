-- Public.
create or replace function bookingdb.set_weekly_hours(p_therapist_id uuid, p_hours jsonb)
returns setof bookingdb.weekly_window
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
begin
    perform bookingdb.authorise_therapist(p_therapist_id);
    if p_hours is not null and exists (
        select from bookingdb.local_windows('p_hours', p_hours) as w where w.weekday is null
    ) then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_hours', 'missing', 'weekday'
        ));
    end if;

    -- A booking in flight sees all old hours or all new ones.
    perform bookingdb.lock_people(array[p_therapist_id]);
    delete from bookingdb.weekly_hours as w
    where w.therapist_id = p_therapist_id;
    if p_hours is null then
        -- As if there had never been any: the therapist can be booked at any time.
        delete from bookingdb.therapists_with_hours as h
        where h.therapist_id = p_therapist_id;
    else
        insert into bookingdb.weekly_hours (
            therapist_id, weekday, start_time, end_time, valid_from, valid_to, every_weeks, time_zone
        )
        select
            p_therapist_id, w.weekday, w.start_time, w.end_time, w.valid_from, w.valid_to, coalesce(w.every_weeks, 1),
            w.time_zone
        from bookingdb.local_windows('p_hours', p_hours) as w;
    end if;
    perform bookingdb.write_availability_event(p_therapist_id);

    return query
    select h.weekday, h.start_time, h.end_time, h.valid_from, h.valid_to, h.every_weeks, h.time_zone
    from bookingdb.get_weekly_hours(p_therapist_id) as h;
end;
$function$;

comment on function bookingdb.set_weekly_hours(uuid, jsonb) is
'Replaces all weekly hours of a therapist, and returns them. p_hours is an array of up to 200 objects such as {"weekday": 1, "start_time": "09:00", "end_time": "17:00"}, with "valid_from" and "valid_to" (dates, both included) where a window is not valid for ever, "every_weeks" (2 to 8) where it is not on every week (counted from the week of valid_from), and "time_zone" where that is not the therapist''s. Times are local to the zone; an end at or before the start is on the next day. An empty array closes a therapist who has hours or had some; NULL forgets the hours, and the therapist can be booked at any time unless the policy says require_hours. Booked sessions stay. For the therapist themselves and for trusted callers. Raises: invalid_parameter.';
