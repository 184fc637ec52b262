create or replace function bookingdb.part_in_session(p_session public.sessions)
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return bookingdb.authorise_for_session(p_session);
end;
$function$;

comment on function bookingdb.part_in_session(public.sessions) is
'The name of authorise_for_session() in the version before, for calls that began before the upgrade. The next version drops it.';
