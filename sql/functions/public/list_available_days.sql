create or replace function public.list_available_days(
    p_therapist_id uuid,
    p_from date,
    p_to date,
    p_duration_minutes integer default 60,
    p_time_zone text default null,
    p_step_minutes integer default null
)
returns table (
    local_date date,
    slots integer,
    first_start timestamptz,
    last_start timestamptz
)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select r.local_date, r.slots, r.first_start, r.last_start
    from bookingdb.list_available_days(
        p_therapist_id, p_from, p_to, p_duration_minutes, p_time_zone, p_step_minutes
    ) as r;
end;
$function$;

comment on function public.list_available_days(uuid, date, date, integer, text, integer) is
'The dates from p_from to p_to on which a therapist has something free, with the number of slots, the first and the last start: what list_available_slots() lists, a row a day. For every logged-in user and for trusted callers. Errors: docs/errors.md.';
