create or replace function bookingdb.get_policy(p_therapist_id uuid)
returns bookingdb.effective_policy
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    perform bookingdb.authorise_anyone();
    if p_therapist_id is not null
        and not exists (select from bookingdb.therapists as t where t.id = p_therapist_id) then
        perform bookingdb.raise_error('therapist_not_found', jsonb_build_object('therapist_id', p_therapist_id));
    end if;
    return bookingdb.policy_of(p_therapist_id);
end;
$function$;

comment on function bookingdb.get_policy(uuid) is
'What holds for a therapist, or by default (null). Twin of the public function of this name. Raises not_authenticated, therapist_not_found.';
