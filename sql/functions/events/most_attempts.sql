-- Inlined.
create or replace function bookingdb.most_attempts()
returns integer
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return 10;
end;
$function$;

comment on function bookingdb.most_attempts() is
'Returns how often a delivery is tried before it is dead: as often as backoff() has pauses.';
