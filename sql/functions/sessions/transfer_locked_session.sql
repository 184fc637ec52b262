create or replace function bookingdb.transfer_locked_session(
    p_session public.sessions,
    p_therapist_id uuid,
    p_reason text,
    p_override text[]
)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_now constant timestamptz := clock_timestamp();
    v_period tstzrange;
    v_policy bookingdb.effective_policy;
    v_bound bookingdb.effective_policy;
    v_overridden_rules text[];
begin
    -- A session that is over, or has begun, stays with whom it was. One without a usable time has none to keep.
    if p_session.status not in ('pending_approval', 'scheduled', 'confirmed')
        or p_session.start_time <= v_now
        or not coalesce(bookingdb.has_place_in_time(p_session), false) then
        perform bookingdb.raise_error('invalid_transition', jsonb_build_object(
            'session_id', p_session.id, 'status', p_session.status,
            'start_time', bookingdb.iso_utc(p_session.start_time)
        ));
    end if;
    perform bookingdb.require_wait(p_session, null);
    if p_session.therapist_id = p_therapist_id then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_therapist_id', 'reason', 'same_therapist'
        ));
    end if;

    -- All rules of a booking with the new therapist apply, at the time that was agreed.
    perform bookingdb.require_people(p_therapist_id, p_session.user_id);
    v_policy := bookingdb.policy_of(p_therapist_id);
    v_period := tstzrange(p_session.start_time, p_session.end_time);
    perform bookingdb.require_duration(extract(epoch from upper(v_period) - lower(v_period))::integer / 60, v_policy);
    v_bound := bookingdb.overriding_policy(v_policy, p_override);
    perform bookingdb.require_free_time(
        v_bound, v_period, p_session.id, not coalesce('hours' = any (p_override), false)
    );
    if p_override is not null then
        v_overridden_rules := bookingdb.overridden_rules(
            v_policy, v_period, p_session.id, p_override, p_session.user_id, true
        );
    end if;
    perform bookingdb.mark_limited_booking(v_policy, p_session.user_id, v_period);
    perform bookingdb.require_client_limits(v_bound, p_session.user_id, v_period, p_session.id, true);

    delete from bookingdb.calendar as c
    where c.id = p_session.id and c.kind = 'session';
    delete from bookingdb.overlapping_sessions as o
    where o.session_id = p_session.id;
    if found then
        delete from bookingdb.absences as a
        where a.id = p_session.id and a.external_source = 'adoption';
    end if;
    perform bookingdb.occupy_time(
        p_session.id, p_therapist_id, p_session.user_id, v_period, bookingdb.blocked_time(v_policy, v_period),
        p_session.approval_until, 'session'
    );

    -- The client did not ask for the change: as after a move by the practice, they may cancel for a while. A session
    -- without terms of its own has those of the therapist with whom it was.
    p_session.free_cancellation_until := coalesce(
        p_session.free_cancellation_until,
        bookingdb.free_cancellation_until(bookingdb.policy_of(p_session.therapist_id), p_session.start_time)
    );
    p_session := bookingdb.move_cancellation_terms(p_session, v_policy, p_session.start_time, 'trusted');

    if p_reason = p_session.change_reason then
        -- For record_session_change(), which sees no change of it, and ends this.
        perform set_config('bookingdb.same_reason', p_session.id::text, true);
    end if;
    update public.sessions as s
    set therapist_id = p_therapist_id,
        free_cancellation_until = p_session.free_cancellation_until,
        cancellation_notice = p_session.cancellation_notice,
        change_reason = p_reason,
        hours_overridden = coalesce('hours' = any (v_overridden_rules), false),
        overridden_rules = v_overridden_rules,
        updated_at = now()
    where s.id = p_session.id;
    if not found then
        perform bookingdb.raise_write_swallowed();
    end if;
end;
$function$;

comment on function bookingdb.transfer_locked_session(public.sessions, uuid, text, text[]) is
'Gives a session another therapist, by the rules of a booking but p_override. Caller holds: the locks of its row and all three people. Raises: invalid_transition, invalid_parameter.';
