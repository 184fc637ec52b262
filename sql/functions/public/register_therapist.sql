create or replace function public.register_therapist(
    p_email text,
    p_full_name text default null,
    p_user_id uuid default null,
    p_time_zone text default null
)
returns uuid
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return bookingdb.register_therapist(p_email, p_full_name, p_user_id, p_time_zone);
end;
$function$;

comment on function public.register_therapist(text, text, uuid, text) is
'Registers a therapist, active and verified, and returns its id (p_user_id where it is given); local times of its sessions are meant in p_time_zone (an IANA name). The same person again returns the same id. For trusted callers. Errors: docs/errors.md.';
