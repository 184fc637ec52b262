create or replace function bookingdb.duration_has_default()
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return exists (
        select from pg_attribute as a
        where a.attrelid = 'public.sessions'::regclass and a.attname = 'duration_minutes' and a.atthasdef
    );
end;
$function$;

comment on function bookingdb.duration_has_default() is
'Says whether an adopted application gives sessions a duration by default: one that contradicts the end was then not meant.';
