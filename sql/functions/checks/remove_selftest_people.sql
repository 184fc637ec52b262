create or replace function bookingdb.remove_selftest_people()
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_people uuid[];
    v_sessions uuid[];
begin
    -- A selftest that is still running holds the rows of its people FOR NO KEY UPDATE: they are left alone.
    v_people := array(
        select p.id from bookingdb.selftest_people as p order by p.id for no key update skip locked
    );
    if v_people = '{}' then
        return 0;
    end if;

    -- Whoever writes for these people holds their rows FOR KEY SHARE. Of a selftest that was killed, a last COMMIT may
    -- be on its way: this waits for it, and what follows sees what it wrote.
    perform from bookingdb.selftest_people as p where p.id = any (v_people) order by p.id for update;
    perform bookingdb.lock_people(v_people);

    -- The guards of the append-only tables let exactly these people's rows go. They themselves go last, so that every
    -- trigger on the way still finds them listed.
    v_sessions := array(
        select s.id from public.sessions as s where s.user_id = any (v_people)
        union
        select l.session_id from bookingdb.ledger as l where l.user_id = any (v_people)
    );
    delete from public.sessions as s where s.id = any (v_sessions);
    delete from bookingdb.calendar as c where c.client_id = any (v_people);
    delete from public.user_credits as c where c.user_id = any (v_people);
    delete from bookingdb.ledger as l where l.user_id = any (v_people);
    delete from public.booking_audit_log as a where a.session_id = any (v_sessions);
    delete from bookingdb.idempotency_keys as k where k.user_id = any (v_people);
    delete from bookingdb.outbox as o
    where o.payload ->> 'user_id' = any (v_people::text[])
        and o.created_at >= (select min(p.created_at) from bookingdb.selftest_people as p where p.id = any (v_people));

    -- A therapist left over from a selftest that was killed may have been booked by somebody real: that session stays,
    -- and its therapist with it, closed for booking.
    update public.users as u
    set is_active = false
    where u.id = any (v_people)
        and exists (select from public.sessions as s where s.therapist_id = u.id);
    delete from bookingdb.policies as p
    where p.therapist_id = any (v_people)
        and not exists (select from public.sessions as s where s.therapist_id = p.therapist_id);
    delete from public.users as u
    where u.id = any (v_people)
        and not exists (select from public.sessions as s where s.therapist_id = u.id);
    delete from bookingdb.selftest_people as p where p.id = any (v_people);
    return cardinality(v_people);
end;
$function$;

comment on function bookingdb.remove_selftest_people() is
'Removes the people in bookingdb.selftest_people, but those of a selftest that is still running, with everything that was written for them; returns how many there were.';
