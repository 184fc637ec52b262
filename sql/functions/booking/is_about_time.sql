-- Inlined.
create or replace function bookingdb.is_about_time(p_code text)
returns boolean
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return p_code in (
        'booking_conflict', 'client_conflict', 'client_limit', 'outside_availability', 'skipped_time', 'in_past',
        'too_soon', 'too_far'
    );
end;
$function$;

comment on function bookingdb.is_about_time(text) is
'Says whether an error refuses one time only, so that a series can leave it out.';
