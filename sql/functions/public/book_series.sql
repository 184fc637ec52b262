create or replace function public.book_series(
    p_user_id uuid,
    p_therapist_id uuid,
    p_session_date date,
    p_session_time time,
    p_occurrences integer,
    p_every interval default '7 days',
    p_duration_minutes integer default 60,
    p_session_type varchar default 'video',
    p_notes text default '',
    p_title text default 'Therapy Session',
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
    from bookingdb.book_series(
        p_user_id, p_therapist_id, p_session_date, p_session_time, p_occurrences, p_every, p_duration_minutes,
        p_session_type, p_notes, p_title, p_time_zone, p_idempotency_key
    ) as b;
end;
$function$;

comment on function public.book_series(
    uuid, uuid, date, time, integer, interval, integer, varchar, text, text, text, text
) is
'Books p_occurrences (1 to 52) sessions at the same local time, p_every (whole days, weeks or months) apart, and takes a credit for each: all of them or none. The DETAIL of an error names the first occurrence that failed, and its date. For the user itself and for trusted callers. Errors: docs/errors.md.';
