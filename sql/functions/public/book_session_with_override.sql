create or replace function public.book_session_with_override(
    p_user_id uuid,
    p_therapist_id uuid,
    p_session_date date,
    p_session_time time,
    p_duration_minutes integer default 60,
    p_session_type varchar default 'video',
    p_notes text default '',
    p_title text default 'Therapy Session',
    p_time_zone text default null,
    p_override_hours boolean default true,
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
    select r.id, r.user_id, r.therapist_id, r.title, r.description, r.scheduled_date, r.scheduled_time, r.start_time,
        r.end_time, r.duration_minutes, r.session_type, r.status, r.created_at, r.time_zone, r.credits_balance
    from bookingdb.book_session_with_override(
        p_user_id, p_therapist_id, p_session_date, p_session_time, p_duration_minutes, p_session_type, p_notes, p_title,
        p_time_zone, p_override_hours, p_idempotency_key
    ) as r;
end;
$function$;

comment on function public.book_session_with_override(
    uuid, uuid, date, time, integer, varchar, text, text, text, boolean, text
) is
'Books a session also outside of the therapist''s hours (p_override_hours), which the audit log then says; calendar, buffers, notice, limits and credits count as always. Like create_session_with_credit_deduction() otherwise. For trusted callers. Errors: docs/errors.md.';
