-- Public.
create or replace function bookingdb.set_date_override(p_therapist_id uuid, p_date date, p_hours jsonb default null)
returns setof bookingdb.date_window
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
    if p_date is null or p_date not between date '1900-01-01' and date '2999-12-31' then
        perform bookingdb.raise_error('invalid_date');
    end if;
    if p_hours is not null and exists (
        select from bookingdb.local_windows('p_hours', p_hours) as w
        where num_nonnulls(w.weekday, w.valid_from, w.valid_to, w.every_weeks, w.time_zone) > 0
    ) then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_hours', 'reason', 'not_for_a_date'
        ));
    end if;

    perform bookingdb.lock_people(array[p_therapist_id]);
    delete from bookingdb.date_overrides as o
    where o.therapist_id = p_therapist_id and o.override_date = p_date;
    if p_hours = '[]' then
        insert into bookingdb.date_overrides (therapist_id, override_date)
        values (p_therapist_id, p_date);
    elsif p_hours is not null then
        insert into bookingdb.date_overrides (therapist_id, override_date, start_time, end_time)
        select p_therapist_id, p_date, w.start_time, w.end_time
        from bookingdb.local_windows('p_hours', p_hours) as w;
    end if;
    perform bookingdb.write_availability_event(p_therapist_id);

    return query
    select o.override_date, o.start_time, o.end_time
    from bookingdb.list_date_overrides(p_therapist_id, p_date, p_date) as o;
end;
$function$;

comment on function bookingdb.set_date_override(uuid, date, jsonb) is
'Replaces the weekly hours on one date, and returns its hours: p_hours is an array of objects such as {"start_time": "09:00", "end_time": "12:00"}; an empty array closes the date, NULL removes the override. Booked sessions stay. For the therapist themselves and for trusted callers. Raises: invalid_date, invalid_parameter.';
