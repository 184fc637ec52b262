-- Public.
create or replace function bookingdb.calendar_feed(p_secret text)
returns setof bookingdb.feed_entry
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_person_id uuid;
    v_time_zone text;
begin
    perform bookingdb.authorise_trusted();
    -- The hash of a guess says nothing about the secret, however long the index looks for it.
    select f.person_id
    into v_person_id
    from bookingdb.calendar_feeds as f
    where f.secret_hash = bookingdb.hash_of_secret(p_secret);
    if not found then
        perform bookingdb.raise_error('feed_not_found');
    end if;
    v_time_zone := bookingdb.contact_of(v_person_id) ->> 'time_zone';

    return query
    select
        e.id, e.part, e.title, e.session_type, e.status, e.start_time, e.end_time,
        bookingdb.person_name(e.other_id, e.part = 'client'), e.revision, e.created_at, v_time_zone
    from (
        select
            s.id, 'client', s.title::text, s.session_type::text, s.status::text, s.start_time, s.end_time,
            s.therapist_id, s.revision, s.created_at
        from public.sessions as s
        where s.user_id = v_person_id and s.start_time >= clock_timestamp() - interval '2160 hours'
        union all
        select
            s.id, 'therapist', s.title::text, s.session_type::text, s.status::text, s.start_time, s.end_time,
            s.user_id, s.revision, s.created_at
        from public.sessions as s
        where s.therapist_id = v_person_id
            and s.user_id is distinct from v_person_id
            and s.start_time >= clock_timestamp() - interval '2160 hours'
    ) as e (id, part, title, session_type, status, start_time, end_time, other_id, revision, created_at)
    where e.end_time > e.start_time
    order by e.start_time, e.id;
end;
$function$;

comment on function bookingdb.calendar_feed(text) is
'Lists the sessions of the person to whom a secret of create_calendar_feed() belongs, in order: those of the past 90 days and all to come, cancelled ones too, each with the part that the person has in it and the other one''s name. For trusted callers, such as the web server that serves the address. Raises: feed_not_found.';
