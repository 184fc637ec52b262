create or replace function public.start_session(p_session_id uuid, p_idempotency_key text default null)
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
    from bookingdb.start_session(p_session_id, p_idempotency_key) as c;
end;
$function$;

comment on function public.start_session(uuid, text) is
'Says that a scheduled or confirmed session has begun. For the therapist and trusted callers. Errors: docs/errors.md.';
