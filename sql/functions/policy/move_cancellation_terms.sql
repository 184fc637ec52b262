create or replace function bookingdb.move_cancellation_terms(
    p_session public.sessions,
    p_policy bookingdb.effective_policy,
    p_new_start timestamptz,
    p_part text
)
returns public.sessions
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_now constant timestamptz := clock_timestamp();
    v_limit timestamptz := coalesce(
        p_session.free_cancellation_until, bookingdb.free_cancellation_until(p_policy, p_session.start_time)
    );
    v_notice interval := p_policy.cancellation_window;
begin
    -- 1. Clients cannot reopen a window that had closed by moving the session.
    if p_part = 'client' and v_now > v_limit then
        p_session.free_cancellation_until := v_limit;
        p_session.cancellation_notice := null;
        return p_session;
    end if;

    -- 2. The window moves along. Compared in seconds, and ten years at most: a direct writer may have left the start
    -- out, or made it or the window endless.
    if p_session.start_time < timestamptz '3000-01-01 00:00:00+00'
        and abs(extract(epoch from v_limit) - extract(epoch from p_session.start_time)) < 315576000 then
        v_notice := coalesce(p_session.cancellation_notice, p_session.start_time - v_limit);
    else
        v_limit := null;
    end if;
    p_session.free_cancellation_until := bookingdb.add_elapsed(p_new_start, -v_notice);

    -- 3. Nobody who moves a session worsens the other side's right: the client keeps the old limit. After a move by
    -- somebody (no zone's new rules) they get a grace, which outlasts their own moves: the audit log knows since when.
    -- No session is cancelled after its start.
    if p_part = 'client' then
        v_limit := greatest(
            case when p_session.cancellation_notice is not null then v_limit end,
            bookingdb.add_elapsed(
                (
                    select max(a.created_at)
                    from public.booking_audit_log as a
                    where a.session_id = p_session.id
                        and a.actor is distinct from a.user_id::text
                        and (
                            a.changes ? 'therapist_id'
                            -- New rules of a zone leave the local time, and another zone leaves the start.
                            or (
                                a.changes ?| array['start_time', 'end_time']
                                and a.changes ?| array[
                                    'scheduled_date', 'scheduled_time', 'time_zone', 'duration_minutes'
                                ]
                            )
                        )
                ),
                p_policy.moved_cancellation_grace
            )
        );
    else
        v_limit := greatest(
            v_limit,
            case when p_part is not null then bookingdb.add_elapsed(v_now, p_policy.moved_cancellation_grace) end
        );
    end if;
    p_session.cancellation_notice := null;
    if least(v_limit, p_new_start) > p_session.free_cancellation_until and v_limit is not null then
        p_session.free_cancellation_until := least(v_limit, p_new_start);
        p_session.cancellation_notice := v_notice;
    end if;
    return p_session;
end;
$function$;

comment on function bookingdb.move_cancellation_terms(
    public.sessions, bookingdb.effective_policy, timestamptz, text
) is
'Returns a session with its cancellation terms after a move to p_new_start. p_part: who moves it (client, therapist, trusted; NULL: new rules of a zone).';
