create or replace function bookingdb.require_move_allowed(
    p_session public.sessions,
    p_policy bookingdb.effective_policy,
    p_start timestamptz default null
)
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_latest constant timestamptz := bookingdb.add_elapsed(p_session.start_time, -p_policy.reschedule_window);
    v_moves bigint;
    v_ends_at timestamptz;
begin
    if clock_timestamp() > v_latest then
        perform bookingdb.raise_error('reschedule_refused', jsonb_build_object(
            'session_id', p_session.id, 'rule', 'reschedule_window',
            'start_time', bookingdb.iso_utc(p_session.start_time), 'until', bookingdb.iso_utc(v_latest)
        ));
    end if;

    -- The audit log has every move, also a direct writer's, and who made it. No column of the session says so.
    if p_policy.maximum_reschedules < 1000 then
        select count(*)
        into v_moves
        from public.booking_audit_log as a
        where a.session_id = p_session.id
            and a.actor = p_session.user_id::text
            and a.changes ?| array['start_time', 'end_time'];
        if v_moves >= p_policy.maximum_reschedules then
            perform bookingdb.raise_error('reschedule_refused', jsonb_build_object(
                'session_id', p_session.id, 'rule', 'maximum_reschedules',
                'limit', p_policy.maximum_reschedules, 'count', v_moves
            ));
        end if;
    end if;

    -- A session that was paid for with credits of last year is not moved into the next.
    if p_policy.credits_valid_on = 'session' and p_start > p_session.start_time then
        select min(case c.status
            when 'frozen' then bookingdb.thawed_end(c)
            else c.expires_at
        end)
        into v_ends_at
        from bookingdb.ledger as l
        inner join public.user_credits as c on c.id = l.lot_id
        where l.session_id = p_session.id
            and l.kind = 'debit'
            and l.charge = (bookingdb.last_charge(p_session.id)).charge;
        if v_ends_at <= p_start then
            perform bookingdb.raise_error('reschedule_refused', jsonb_build_object(
                'session_id', p_session.id, 'rule', 'credits_valid_on', 'until', bookingdb.iso_utc(v_ends_at)
            ));
        end if;
    end if;
end;
$function$;

comment on function bookingdb.require_move_allowed(public.sessions, bookingdb.effective_policy, timestamptz) is
'Refuses a client who moves a session too late, too often, or to when its credits have ended. Caller holds: the lock of the session''s row, and knows that the client asks. Raises: reschedule_refused.';
