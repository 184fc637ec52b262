-- Public.
create or replace function bookingdb.join_session(p_session_id uuid)
returns bookingdb.joinable_session
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_now constant timestamptz := clock_timestamp();
    v_session public.sessions;
    v_settings jsonb;
    v_answer bookingdb.joinable_session;
begin
    perform bookingdb.authorise_anyone();
    if p_session_id is null then
        perform bookingdb.raise_error('invalid_session_id');
    end if;
    v_session := bookingdb.find_session(p_session_id);

    -- The window is that of the destination that makes the rooms. A setting that is no number of minutes counts as
    -- missing.
    select d.settings
    into v_settings
    from bookingdb.destinations as d
    where d.kind = 'daily' or d.settings ?| array['before_minutes', 'after_minutes']
    order by d.is_enabled desc, d.created_at, d.id
    limit 1;
    v_answer.opens_at := v_session.start_time - make_interval(mins => coalesce(
        substring(v_settings ->> 'before_minutes' from '^[0-9]{1,4}$'), '15'
    )::integer);
    v_answer.closes_at := v_session.end_time + make_interval(mins => coalesce(
        substring(v_settings ->> 'after_minutes' from '^[0-9]{1,4}$'), '30'
    )::integer);

    v_answer.part := nullif(bookingdb.authorise_for_session(v_session), 'trusted');
    v_answer.room_name := v_session.id::text;
    v_answer.video_status := v_session.video_status;
    v_answer.reason := case
        when v_session.status not in ('scheduled', 'confirmed', 'in_progress') then 'not_active'
        when v_answer.opens_at is null or v_answer.closes_at is null then 'not_active'
        when v_now < v_answer.opens_at then 'too_early'
        when v_now >= v_answer.closes_at then 'too_late'
        when v_session.video_url is null then 'no_room'
    end;
    v_answer.may_join := v_answer.reason is null;
    if v_answer.may_join then
        v_answer.video_url := v_session.video_url;
    end if;
    return v_answer;
end;
$function$;

comment on function bookingdb.join_session(uuid) is
'Says whether the caller may enter the video room of a session now, and gives its address only then. reason is not_active, too_early, too_late or no_room; part is client or therapist, and NULL for trusted callers. For the client, the therapist and trusted callers. Raises: invalid_session_id.';
