create or replace function public.get_weekly_hours(p_therapist_id uuid)
returns table (
    weekday integer,
    start_time time,
    end_time time,
    valid_from date,
    valid_to date
)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select r.weekday, r.start_time, r.end_time, r.valid_from, r.valid_to
    from bookingdb.get_weekly_hours(p_therapist_id) as r;
end;
$function$;

comment on function public.get_weekly_hours(uuid) is
'A therapist''s weekly hours in its local time, in order: weekday 1 (Monday) to 7, a window''s start and end (at or before the start: on the next day), from and to which date it holds. No row: there are none, and the therapist can be booked at any time unless the policy says require_hours. For every logged-in user and for trusted callers. Errors: docs/errors.md.';
