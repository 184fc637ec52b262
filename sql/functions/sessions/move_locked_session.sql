create or replace function bookingdb.move_locked_session(
    p_session public.sessions,
    p_part text,
    p_session_date date,
    p_session_time time,
    p_time_zone text,
    p_start timestamptz,
    p_minutes integer,
    p_override text[] default null
)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_now constant timestamptz := clock_timestamp();
    v_policy bookingdb.effective_policy;
    v_bound bookingdb.effective_policy;
    v_period tstzrange;
    v_changes_week boolean;
    v_overridden_rules text[];
begin
    perform bookingdb.require_wait(p_session, null);
    -- A session that is over, or has begun, does not move.
    if 'reschedule_session' <> all (bookingdb.next_actions(p_session, p_part)) then
        perform bookingdb.raise_error('invalid_transition', jsonb_build_object(
            'session_id', p_session.id, 'status', p_session.status,
            'start_time', bookingdb.iso_utc(p_session.start_time)
        ));
    end if;

    -- All rules of a booking apply.
    perform bookingdb.require_people(p_session.therapist_id, p_session.user_id);
    v_policy := bookingdb.policy_of(p_session.therapist_id);
    if p_part = 'client' then
        perform bookingdb.require_move_allowed(p_session, v_policy, p_start);
    end if;
    perform bookingdb.require_duration(p_minutes, v_policy);
    v_period := tstzrange(p_start, p_start + make_interval(mins => p_minutes));
    v_bound := bookingdb.overriding_policy(v_policy, p_override);
    perform bookingdb.require_free_time(
        v_bound, v_period, p_session.id, not coalesce('hours' = any (p_override), false), p_session.user_id
    );
    -- A move within a week adds no session to it.
    v_changes_week := v_policy.maximum_client_sessions_per_week < 1000
    and bookingdb.is_same_week(p_session.start_time, p_start, v_policy.time_zone) is not true;
    if p_override is not null then
        v_overridden_rules := bookingdb.overridden_rules(
            v_policy, v_period, p_session.id, p_override, case when v_changes_week then p_session.user_id end, false
        );
    end if;
    perform bookingdb.mark_limited_booking(v_policy, p_session.user_id, v_period);
    if v_changes_week then
        perform bookingdb.require_client_limits(v_bound, p_session.user_id, v_period, p_session.id, false);
    end if;

    -- The old time is given up in the same transaction that wins the new one, or not at all.
    delete from bookingdb.calendar as c
    where c.id = p_session.id and c.kind = 'session';
    delete from bookingdb.overlapping_sessions as o
    where o.session_id = p_session.id;
    if found then
        delete from bookingdb.absences as a
        where a.id = p_session.id and a.external_source = 'adoption';
    end if;
    perform bookingdb.occupy_time(
        p_session.id, p_session.therapist_id, p_session.user_id, v_period, bookingdb.blocked_time(v_policy, v_period),
        p_session.approval_until, 'session'
    );

    -- A session that stays where it is keeps its terms.
    if (p_session.start_time, p_session.end_time) is distinct from (p_start, upper(v_period)) then
        p_session := bookingdb.move_cancellation_terms(p_session, v_policy, p_start, p_part);
    end if;

    update public.sessions as s
    set scheduled_date = p_session_date,
        scheduled_time = p_session_time,
        start_time = p_start,
        end_time = upper(v_period),
        duration_minutes = p_minutes,
        time_zone = p_time_zone,
        free_cancellation_until = p_session.free_cancellation_until,
        cancellation_notice = p_session.cancellation_notice,
        hours_overridden = coalesce('hours' = any (v_overridden_rules), false),
        overridden_rules = v_overridden_rules,
        updated_at = now()
    where s.id = p_session.id;
    if not found then
        perform bookingdb.raise_write_swallowed();
    end if;
end;
$function$;

comment on function bookingdb.move_locked_session(
    public.sessions, text, date, time, text, timestamptz, integer, text[]
) is
'Moves a session to p_start, which is local_instant() of the local time, by all rules of a booking but p_override. Caller holds: the locks of its row and both people. Raises: invalid_transition.';
