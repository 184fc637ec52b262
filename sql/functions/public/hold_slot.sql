create or replace function public.hold_slot(
    p_user_id uuid,
    p_therapist_id uuid,
    p_session_date date,
    p_session_time time,
    p_duration_minutes integer default 60,
    p_ttl interval default null,
    p_time_zone text default null,
    p_idempotency_key text default null
)
returns table (
    id uuid,
    user_id uuid,
    therapist_id uuid,
    start_time timestamptz,
    end_time timestamptz,
    time_zone text,
    expires_at timestamptz
)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select h.id, h.user_id, h.therapist_id, h.start_time, h.end_time, h.time_zone, h.expires_at
    from bookingdb.hold_slot(
        p_user_id, p_therapist_id, p_session_date, p_session_time, p_duration_minutes, p_ttl, p_time_zone,
        p_idempotency_key
    ) as h;
end;
$function$;

comment on function public.hold_slot(uuid, uuid, date, time, integer, interval, text, text) is
'Keeps a time for a client against everybody else until expires_at, at no cost: p_ttl from now (10 seconds to 1 hour; default: hold_lifetime of the policy, 5 minutes). A client has one hold with a therapist: another gives it up. book_hold() makes it a session, release_hold() gives it up. For the user itself and for trusted callers. Errors: docs/errors.md.';
