create or replace function bookingdb.lock_person_rows(p_people uuid[])
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_table text;
    v_lock_timeout text;
begin
    v_lock_timeout := bookingdb.limit_wait();
    foreach v_table in array array['users', 'therapists', 'profiles'] loop
        continue when not bookingdb.keeps_people(v_table);
        -- Foreign keys of bookings in flight go on to read these rows, and do not wait for this lock.
        execute format('select from public.%I as p where p.id = any ($1) order by p.id for no key update', v_table)
        using p_people;
    end loop;
    if bookingdb.keeps_people('therapist_enrollments') then
        perform
        from public.therapist_enrollments as e
        where lower(e.email) in (select lower(u.email) from public.users as u where u.id = any (p_people))
        order by e.ctid
        for no key update;
    end if;
    perform set_config('lock_timeout', v_lock_timeout, true);
end;
$function$;

comment on function bookingdb.lock_person_rows(uuid[]) is
'Locks the rows of these people in the adapter''s tables until the transaction ends: before the people themselves, as a direct UPDATE and its trigger do. The caller turns lock_not_available into busy.';
