create or replace function public.book_hold(
    p_hold_id uuid,
    p_session_type varchar default 'video',
    p_notes text default '',
    p_title text default 'Therapy Session',
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
    credits_balance integer
)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select b.id, b.user_id, b.therapist_id, b.title, b.description, b.scheduled_date, b.scheduled_time, b.start_time,
        b.end_time, b.duration_minutes, b.session_type, b.status, b.created_at, b.time_zone, b.credits_balance
    from bookingdb.book_hold(p_hold_id, p_session_type, p_notes, p_title, p_idempotency_key) as b;
end;
$function$;

comment on function public.book_hold(uuid, varchar, text, text, text) is
'Turns a hold into a session, which has the hold''s id, and takes one credit for it. Once: a second call gets hold_expired, or with the same idempotency key the same answer. For the user whose hold it is and for trusted callers. Errors: docs/errors.md.';
