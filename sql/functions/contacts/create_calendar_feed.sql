-- Public.
create or replace function bookingdb.create_calendar_feed(p_user_id uuid)
returns text
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    -- Each has 122 random bits of the server's strong source.
    v_secret constant text := 'feed_' || replace(gen_random_uuid() || '' || gen_random_uuid(), '-', '');
    v_lock_timeout text;
begin
    perform bookingdb.authorise(p_user_id);
    if not exists (select from bookingdb.people as p where p.id = p_user_id) then
        perform bookingdb.raise_error('user_not_found', jsonb_build_object('user_id', p_user_id));
    end if;
    -- The person's row keeps an erasure and a deletion away.
    begin
        v_lock_timeout := bookingdb.limit_wait();
        perform bookingdb.lock_person_rows(array[p_user_id]);
        perform bookingdb.refuse_merged_person(p_user_id);
        insert into bookingdb.calendar_feeds (person_id, secret_hash)
        values (p_user_id, bookingdb.hash_of_secret(v_secret))
        on conflict on constraint calendar_feeds_pkey do update
        set secret_hash = excluded.secret_hash,
            created_at = clock_timestamp();
        perform set_config('lock_timeout', v_lock_timeout, true);
    exception
        when lock_not_available then
            perform bookingdb.raise_error('busy');
    end;
    return v_secret;
end;
$function$;

comment on function bookingdb.create_calendar_feed(uuid) is
'Gives a person a secret address of their calendar, which calendar_feed() reads, and returns the secret: it is told once, and only its hash is kept. The one before is revoked. For the person themselves and for trusted callers. Raises: user_not_found, busy.';
