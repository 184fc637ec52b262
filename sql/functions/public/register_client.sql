create or replace function public.register_client(
    p_email text,
    p_full_name text default null,
    p_user_id uuid default null
)
returns uuid
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return bookingdb.register_client(p_email, p_full_name, p_user_id);
end;
$function$;

comment on function public.register_client(text, text, uuid) is
'Registers a client, active and verified, and returns its id (p_user_id where it is given); the same person again returns the same id. For trusted callers, and for a logged-in user itself under the e-mail address of its token. Errors: docs/errors.md.';
