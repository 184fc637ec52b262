create or replace function bookingdb.part_of_writer(p_session public.sessions)
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    if not bookingdb.caller_is_trusted() and bookingdb.actor_id() = p_session.user_id then
        return 'client';
    end if;
    return 'trusted';
end;
$function$;

comment on function bookingdb.part_of_writer(public.sessions) is
'Says whose a direct write of a session is: client, where a logged-in client writes; else trusted, because the application writes for the practice.';
