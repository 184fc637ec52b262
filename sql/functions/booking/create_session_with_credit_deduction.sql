-- Public.
create or replace function bookingdb.create_session_with_credit_deduction(
    p_user_id uuid,
    p_therapist_id uuid,
    p_session_date date,
    p_session_time time,
    p_duration_minutes integer default 60,
    p_session_type varchar default 'video',
    p_notes text default '',
    p_title text default 'Therapy Session',
    p_time_zone text default null,
    p_idempotency_key text default null
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
    v_actor text := bookingdb.effective_role();
    v_booked bookingdb.booked_session;
begin
    -- authorise() and actor() for a trusted caller: the two calls would be 2 % of a booking.
    if not bookingdb.acts_for_anyone() then
        perform bookingdb.authorise(p_user_id);
        v_actor := p_user_id;
    end if;
    v_booked := bookingdb.book_quickly(
        p_user_id, p_therapist_id, p_session_date, p_session_time, p_duration_minutes, p_session_type, p_notes, p_title,
        p_time_zone, p_idempotency_key, v_actor
    );
    if v_booked.id is not null then
        return v_booked;
    end if;

    perform bookingdb.authorise(p_user_id);
    return bookingdb.book_once(
        'create_session_with_credit_deduction', p_user_id, p_therapist_id, p_session_date, p_session_time,
        p_duration_minutes, p_session_type, p_notes, p_title, p_time_zone, p_idempotency_key, false
    );
end;
$function$;

comment on function bookingdb.create_session_with_credit_deduction(
    uuid, uuid, date, time, integer, varchar, text, text, text, text
) is
'Books a session of p_duration_minutes (15 to 180) and takes one credit for it, or raises an error and changes nothing. Date and time are local to p_time_zone, else to the therapist''s zone, else to the default policy''s. With p_idempotency_key (1 to 255 characters, per user) the same request again returns the same session without a second debit. For the user themselves and for trusted callers.';
