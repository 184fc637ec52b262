create or replace function bookingdb.weeks_to_wait(p_date date, p_from date, p_every_weeks integer)
returns integer
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    -- Weeks are counted between Mondays.
    v_weeks constant integer := (
        (p_date - extract(isodow from p_date)::integer) - (p_from - extract(isodow from p_from)::integer)
    ) / 7;
begin
    return case when p_every_weeks = 1 then 0 else (p_every_weeks - v_weeks % p_every_weeks) % p_every_weeks end;
end;
$function$;

comment on function bookingdb.weeks_to_wait(date, date, integer) is
'Returns in how many weeks from a date on is one of every so many weeks, counted from the week of p_from, which is not later.';
