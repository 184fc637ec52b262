create or replace function bookingdb.changed_session(p_session_id uuid, p_credits_balance integer)
returns bookingdb.changed_session
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_session public.sessions;
    v_changed bookingdb.changed_session;
begin
    select s.*
    into v_session
    from public.sessions as s
    where s.id = p_session_id;

    v_changed := row(
        v_session.id, v_session.user_id, v_session.therapist_id, v_session.title, v_session.description,
        v_session.scheduled_date, v_session.scheduled_time, v_session.start_time, v_session.end_time,
        v_session.duration_minutes, v_session.session_type, v_session.status, v_session.created_at,
        v_session.time_zone,
        -- The therapist does not see the client's credits.
        case when bookingdb.authorise_for_session(v_session) <> 'therapist' then p_credits_balance end,
        v_session.free_cancellation_until,
        coalesce((bookingdb.last_charge(p_session_id)).is_refunded, false)
    );
    return v_changed;
end;
$function$;

comment on function bookingdb.changed_session(uuid, integer) is
'Returns a session as it stands, in the form in which the functions that change one answer. The therapist does not see the client''s balance.';
