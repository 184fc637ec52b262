create or replace function bookingdb.dated_windows(
    p_therapist_id uuid,
    p_first_date date,
    p_last_date date,
    p_open_but date[]
)
returns setof bookingdb.dated_window
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- Dates that have an override; without windows the date is closed.
    return query
    select v.override_date, v.start_time, v.end_time, true
    from bookingdb.date_overrides as v
    where v.therapist_id = p_therapist_id
        and v.override_date between p_first_date and p_last_date
        and v.start_time is not null
    union all
    -- Therapists who need no hours and never had any are there all day, on dates without an override.
    select p_first_date + n.number, time '00:00', time '00:00', false
    from generate_series(0, p_last_date - p_first_date) as n (number)
    where p_first_date + n.number <> all (p_open_but);
end;
$function$;

comment on function bookingdb.dated_windows(uuid, date, date, date[]) is
'Returns the windows of a therapist''s date overrides between two dates, and whole days on all dates but p_open_but; none, if it is NULL.';
