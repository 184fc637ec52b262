create or replace function public.list_date_overrides(p_therapist_id uuid, p_from date, p_to date)
returns table (
    override_date date,
    start_time time,
    end_time time
)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select r.override_date, r.start_time, r.end_time
    from bookingdb.list_date_overrides(p_therapist_id, p_from, p_to) as r;
end;
$function$;

comment on function public.list_date_overrides(uuid, date, date) is
'The dates from p_from to p_to (both included) on which something else holds than a therapist''s weekly hours: a row per window, or one without times on a date that is closed. For every logged-in user and for trusted callers. Errors: docs/errors.md.';
