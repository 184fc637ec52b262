create or replace function bookingdb.change_enrollment(p_user_id uuid, p_old_email text, p_email text)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- A therapist without an address is not enrolled. One who has an enrollment under the new address keeps both.
    if p_email is null or not exists (
        select from public.users as u where u.id = p_user_id and u.user_type = 'therapist'
    ) or (lower(p_email) <> lower(p_old_email) and exists (
        select from public.therapist_enrollments as e where lower(e.email) = lower(p_email)
    )) then
        return;
    end if;
    update public.therapist_enrollments as e
    set email = p_email
    where lower(e.email) = lower(p_old_email);
end;
$function$;

comment on function bookingdb.change_enrollment(uuid, text, text) is
'Lets a therapist''s enrollment (adapter enrollments) follow their e-mail address. Caller holds: the lock of the row in users.';
