-- Public.
create or replace function bookingdb.book_session_with_override(
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
    p_idempotency_key text default null,
    p_override text[] default null
)
returns bookingdb.booked_session
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_override text[];
begin
    perform bookingdb.authorise_trusted();
    if p_user_id is null then
        perform bookingdb.raise_error('invalid_user_id');
    end if;
    if p_override_hours is null then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_override_hours', 'reason', 'missing'
        ));
    end if;
    v_override := bookingdb.require_override(p_override);
    return bookingdb.book_once(
        'book_session_with_override', p_user_id, p_therapist_id, p_session_date, p_session_time, p_duration_minutes,
        p_session_type, p_notes, p_title, p_time_zone, p_idempotency_key,
        p_override_hours or coalesce('hours' = any (v_override), false),
        nullif(array_remove(v_override, 'hours'), '{}')
    );
end;
$function$;

comment on function bookingdb.book_session_with_override(
    uuid, uuid, date, time, integer, varchar, text, text, text, boolean, text, text[]
) is
'Books a session outside of the therapist''s hours, too (p_override_hours), or against other rules (p_override: hours, minimum_notice, maximum_advance, limits, all). The session and the audit log name the rules that would have refused it. Calendar, buffers, people and credits count as always. Otherwise like create_session_with_credit_deduction(). For trusted callers. Raises: invalid_user_id, invalid_parameter.';
