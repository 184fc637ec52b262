create or replace function bookingdb.require_known_therapist(p_therapist_id uuid)
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    if exists (select from bookingdb.therapists as t where t.id = p_therapist_id) then
        return;
    end if;
    if (bookingdb.caller_is_trusted() or p_therapist_id = bookingdb.actor_id())
        and exists (
            select from bookingdb.people as p where p.id = p_therapist_id and p.user_type = 'therapist'
        ) then
        return;
    end if;
    perform bookingdb.raise_error('therapist_not_found', jsonb_build_object('therapist_id', p_therapist_id));
end;
$function$;

comment on function bookingdb.require_known_therapist(uuid) is
'Refuses a therapist who cannot be booked, except to themselves and to trusted callers, who prepare hours of therapists who are inactive. Raises: therapist_not_found.';
