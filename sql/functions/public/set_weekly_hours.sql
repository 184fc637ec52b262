create or replace function public.set_weekly_hours(p_therapist_id uuid, p_hours jsonb)
returns table (
    weekday integer,
    start_time time,
    end_time time,
    valid_from date,
    valid_to date
)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select r.weekday, r.start_time, r.end_time, r.valid_from, r.valid_to
    from bookingdb.set_weekly_hours(p_therapist_id, p_hours) as r;
end;
$function$;

comment on function public.set_weekly_hours(uuid, jsonb) is
'Puts weekly hours in the place of all that a therapist has, and returns them. p_hours: an array of up to 200 objects such as {"weekday": 1, "start_time": "09:00", "end_time": "17:00"}, with "valid_from" and "valid_to" (dates, both included) where a window does not hold for ever; local time of the therapist''s zone, an end at or before the start is on the next day. What was booked stays. For the therapist itself and for trusted callers. Errors: docs/errors.md.';
