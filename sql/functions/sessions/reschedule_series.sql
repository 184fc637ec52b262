-- Public.
create or replace function bookingdb.reschedule_series(
    p_session_id uuid,
    p_session_date date,
    p_session_time time,
    p_duration_minutes integer default null,
    p_time_zone text default null,
    p_idempotency_key text default null
)
returns setof bookingdb.changed_session
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_sessions public.sessions[];
    v_session public.sessions;
    v_local bookingdb.local_start;
    v_answer bookingdb.idempotency_keys;
begin
    perform bookingdb.authorise_anyone();
    perform bookingdb.require_idempotency_key(p_idempotency_key);
    if p_duration_minutes is not null then
        perform bookingdb.require_session_minutes(p_duration_minutes);
    end if;

    -- 1. The locks: sessions by id, then their people.
    v_sessions := bookingdb.lock_series(p_session_id, 'reschedule_session');
    v_session := v_sessions[1];
    perform bookingdb.lock_people(array(
        select distinct p.id
        from unnest(v_sessions) as s
        cross join lateral (values (s.therapist_id), (s.user_id)) as p (id)
    ));

    v_answer := bookingdb.find_earlier_answer(
        'reschedule_series', coalesce(v_session.user_id, v_session.id), p_idempotency_key,
        jsonb_build_array(p_session_id, p_session_date, p_session_time, p_duration_minutes, p_time_zone)
    );
    if v_answer.result_id is null then
        v_local := bookingdb.local_start(
            p_session_date, p_session_time, p_time_zone, bookingdb.time_zone_of(v_session.therapist_id)
        );
        perform bookingdb.move_locked_series(v_sessions, v_local, p_duration_minutes);
        v_answer.result := bookingdb.series_result(v_sessions);
        perform bookingdb.record_answer(
            v_answer, p_session_id, (v_answer.result -> 0 ->> 'credits_balance')::integer
        );
    end if;
    return query select c.* from bookingdb.changed_series(v_answer.result) as c;
end;
$function$;

comment on function bookingdb.reschedule_series(uuid, date, time, integer, text, text) is
'Moves a session to another local time, and all later ones of its series that are still open by as many days and to the same local time: all of them or none, each by the rules of reschedule_session(). The DETAIL of an error names the session_id, its place among them (occurrence) and the session_date. A session without a series moves alone. For the client, the therapist and trusted callers.';
