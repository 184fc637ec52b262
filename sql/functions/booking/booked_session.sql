create or replace function bookingdb.booked_session(
    p_session_id uuid,
    p_credits_balance integer,
    p_user_id uuid default null
)
returns bookingdb.booked_session
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_booked bookingdb.booked_session;
begin
    select s.id, s.user_id, s.therapist_id, s.title, s.description, s.scheduled_date, s.scheduled_time,
        s.start_time, s.end_time, s.duration_minutes, s.session_type, s.status, s.created_at, s.time_zone,
        p_credits_balance
    into v_booked
    from public.sessions as s
    -- A direct writer may have given it to another client since: it is theirs, as one that was deleted is nobody's.
    where s.id = p_session_id and s.user_id = coalesce(p_user_id, s.user_id);
    if not found then
        if bookingdb.merged_into(p_user_id) is not null then
            return bookingdb.booked_session(p_session_id, p_credits_balance, bookingdb.merged_into(p_user_id));
        end if;
        perform bookingdb.raise_error('session_not_found', jsonb_build_object('session_id', p_session_id));
    end if;
    return v_booked;
end;
$function$;

comment on function bookingdb.booked_session(uuid, integer, uuid) is
'Returns a session as it stands, as a booking answers, with this balance, if it is still that of p_user_id or who they became. Caller holds: an authorisation for the client. Raises: session_not_found.';
