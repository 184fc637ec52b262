create or replace function bookingdb.cancel_locked_session(
    p_session public.sessions,
    p_part text,
    p_reason text,
    p_refund boolean
)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_now constant timestamptz := clock_timestamp();
    v_is_returned boolean := p_refund;
begin
    perform bookingdb.require_transition(p_session, 'cancelled');
    -- The client cannot cancel a session that has begun.
    if p_part = 'client' and 'cancel_session' <> all (bookingdb.next_actions(p_session, p_part)) then
        perform bookingdb.raise_error('invalid_transition', jsonb_build_object(
            'session_id', p_session.id, 'status', p_session.status, 'asked', 'cancelled',
            'start_time', bookingdb.iso_utc(p_session.start_time)
        ));
    end if;

    delete from bookingdb.calendar as c
    where c.id = p_session.id and c.kind = 'session';

    -- (The conditions are nested: an expression with a query in it is run as a query, even where its first part
    -- decides.)
    if v_is_returned is null then
        if p_part = 'client' then
            -- The cancellation terms were fixed at the booking. Sessions from before there were any follow today's
            -- policy. A session without a start is never cancelled late.
            v_is_returned := v_now <= coalesce(
                p_session.free_cancellation_until,
                bookingdb.free_cancellation_until(bookingdb.policy_of(p_session.therapist_id), p_session.start_time)
            );
        elsif p_part = 'therapist' and p_session.start_time <= v_now then
            -- What was completed or missed, and reopened by the therapist since, gives a credit back as
            -- refund_session() does: by a trusted caller.
            v_is_returned := not exists (
                select from public.booking_audit_log as a
                where a.session_id = p_session.id
                    and a.old_status in ('completed', 'no_show')
                    and a.actor = p_session.therapist_id::text
            );
        end if;
    end if;
    if coalesce(v_is_returned, true) then
        perform bookingdb.return_credit(p_session);
    end if;

    -- The reason reaches the audit log with the change of the column.
    update public.sessions as s
    set status = 'cancelled',
        cancellation_reason = p_reason,
        updated_at = now()
    where s.id = p_session.id;
    if not found then
        perform bookingdb.raise_write_swallowed();
    end if;
end;
$function$;

comment on function bookingdb.cancel_locked_session(public.sessions, text, text, boolean) is
'Cancels a session by the cancellation terms of the caller''s part in it. Caller holds: the lock of its row, and of its client. Raises: invalid_transition.';
