create or replace function bookingdb.require_therapist(p_therapist_id uuid)
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    if not exists (select from bookingdb.therapists as t where t.id = p_therapist_id) then
        perform bookingdb.raise_error('therapist_not_found', jsonb_build_object('therapist_id', p_therapist_id));
    end if;
end;
$function$;

comment on function bookingdb.require_therapist(uuid) is
'Refuses a therapist who cannot be booked. Under their lock the answer stands until the transaction ends. Raises: therapist_not_found.';
