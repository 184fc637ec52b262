create or replace function public.set_date_override(p_therapist_id uuid, p_date date, p_hours jsonb default null)
returns table (
    override_date date,
    start_time time,
    end_time time
)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select r.override_date, r.start_time, r.end_time
    from bookingdb.set_date_override(p_therapist_id, p_date, p_hours) as r;
end;
$function$;

comment on function public.set_date_override(uuid, date, jsonb) is
'Lets other hours than the weekly ones hold on a date, and returns them: p_hours is an array of objects such as {"start_time": "09:00", "end_time": "12:00"}; an empty one closes the date, null takes the exception back. What was booked stays. For the therapist itself and for trusted callers. Errors: docs/errors.md.';
