create or replace function public.reschedule_session(
    p_session_id uuid,
    p_session_date date,
    p_session_time time,
    p_duration_minutes integer default null,
    p_time_zone text default null,
    p_idempotency_key text default null
)
returns table (
    id uuid,
    user_id uuid,
    therapist_id uuid,
    title varchar,
    description text,
    scheduled_date date,
    scheduled_time time,
    start_time timestamptz,
    end_time timestamptz,
    duration_minutes integer,
    session_type varchar,
    status varchar,
    created_at timestamptz,
    time_zone text,
    credits_balance integer,
    free_cancellation_until timestamptz,
    refunded boolean
)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select c.id, c.user_id, c.therapist_id, c.title, c.description, c.scheduled_date, c.scheduled_time, c.start_time,
        c.end_time, c.duration_minutes, c.session_type, c.status, c.created_at, c.time_zone, c.credits_balance,
        c.free_cancellation_until, c.refunded
    from bookingdb.reschedule_session(
        p_session_id, p_session_date, p_session_time, p_duration_minutes, p_time_zone, p_idempotency_key
    ) as c;
end;
$function$;

comment on function public.reschedule_session(uuid, date, time, integer, text, text) is
'Moves a session that has not begun to another time: the same id, the credit carried over, all rules of a booking. Without p_duration_minutes it stays as long as it was; without p_time_zone the time is meant in the session''s own zone. For the client, the therapist and trusted callers. Errors: docs/errors.md.';
