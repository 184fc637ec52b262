create or replace function bookingdb.date_of(p_text text)
returns date
language plpgsql
immutable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_found constant text[] := regexp_match(btrim(p_text), '^([0-9]{4})-([0-9]{2})-([0-9]{2})([T ]00:00(:00)?)?$');
    v_date date;
begin
    if v_found is not null then
        v_date := make_date(v_found[1]::integer, v_found[2]::integer, v_found[3]::integer);
    end if;
    return case when v_date between date '1900-01-01' and date '2999-12-31' then v_date end;
exception
    -- Such as the 30th of February.
    when data_exception then
        return null;
end;
$function$;

comment on function bookingdb.date_of(text) is
'Reads a date that an application keeps as date, timestamp at midnight or text (YYYY-MM-DD). NULL for anything else, with a zone, and outside of 1900 to 2999.';
