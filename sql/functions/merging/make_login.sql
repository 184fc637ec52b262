create or replace function bookingdb.make_login(p_from_id uuid, p_into_id uuid)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_lock_timeout text;
begin
    -- Only where an application has its people in public.users are they made here. The address follows when it is free.
    if exists (select from bookingdb.people as p where p.id = p_into_id) or not bookingdb.keeps_people('users') then
        return;
    end if;
    v_lock_timeout := bookingdb.limit_wait();
    insert into public.users (id, email, full_name, user_type, is_active, is_verified)
    select p_into_id, bookingdb.freed_text('email', p_into_id), u.full_name, u.user_type, u.is_active, u.is_verified
    from public.users as u
    where u.id = p_from_id
    on conflict do nothing;
    perform set_config('lock_timeout', v_lock_timeout, true);
exception
    when foreign_key_violation then
        -- The application's people have accounts, and nobody has this one.
        perform bookingdb.raise_error('user_not_found', jsonb_build_object('user_id', p_into_id));
    when lock_not_available then
        perform bookingdb.raise_error('busy');
end;
$function$;

comment on function bookingdb.make_login(uuid, uuid) is
'Makes the person with whose id a client logs in from now on, as active and verified as the client, if nobody has it. Raises: user_not_found, busy.';
