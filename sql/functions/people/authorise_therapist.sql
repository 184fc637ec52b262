create or replace function bookingdb.authorise_therapist(p_therapist_id uuid)
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    perform bookingdb.authorise_anyone();
    if not bookingdb.caller_is_trusted() and p_therapist_id <> bookingdb.actor_id() then
        perform bookingdb.raise_error('not_allowed', jsonb_build_object('therapist_id', p_therapist_id));
    end if;
    if p_therapist_id is null then
        perform bookingdb.raise_error('invalid_therapist_id');
    end if;
    perform bookingdb.require_known_therapist(p_therapist_id);
end;
$function$;

comment on function bookingdb.authorise_therapist(uuid) is
'Lets a trusted caller act for any therapist, and a logged-in therapist for themselves, active or not. Raises: not_allowed, invalid_therapist_id.';
