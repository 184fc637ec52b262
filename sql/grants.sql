-- Every GRANT and REVOKE. Hosts grant by default (PUBLIC executes new functions; older Supabase projects hand every new
-- table, function and sequence of public to anon and authenticated by name), so everything is taken away first, by name
-- and by exact signature, and then given.
--
--     anon               nothing
--     authenticated      the public functions and their twins; reading its own rows (policies.sql)
--     service_role       the public functions and their twins; reading and writing the application's tables
--     bookingdb_service  the public functions and their twins; reading the application's tables
--
-- Roles that do not exist are passed over; when they appear later, `bookingdb migrate` applies this file again.

-- The role for an application's own server on a plain Postgres: grant it to the login role that the server uses.
do $block$
begin
    if to_regrole('bookingdb_service') is null
        and exists (select from pg_roles as r where r.rolname = current_user and (r.rolcreaterole or r.rolsuper)) then
        create role bookingdb_service nologin;
    end if;
exception
    -- Roles belong to the whole server: another database's installation may have been a moment faster.
    when duplicate_object or unique_violation or insufficient_privilege then
        null;
end;
$block$;

do $block$
declare
    -- Public functions; each has a twin of the same name and arguments in bookingdb, which checks for itself.
    c_public constant text[] := array[
        'create_session_with_credit_deduction(uuid, uuid, date, time, integer, varchar, text, text, text, text)',
        'book_session_with_override(uuid, uuid, date, time, integer, varchar, text, text, text, boolean, text)',
        'book_series(uuid, uuid, date, time, integer, interval, integer, varchar, text, text, text, text)',
        'hold_slot(uuid, uuid, date, time, integer, interval, text, text)',
        'book_hold(uuid, varchar, text, text, text)',
        'release_hold(uuid)',
        'reschedule_session(uuid, date, time, integer, text, text)',
        'cancel_session(uuid, text, boolean, text)',
        'approve_session(uuid, text)',
        'confirm_session(uuid, text)',
        'start_session(uuid, text)',
        'complete_session(uuid, text)',
        'mark_no_show(uuid, text)',
        'list_available_slots(uuid, date, date, integer, text, integer)',
        'list_available_days(uuid, date, date, integer, text, integer)',
        'list_opening_hours(uuid, date, date, text)',
        'next_available_slot(uuid, integer, timestamptz, text, integer)',
        'find_available_therapists(timestamptz, timestamptz, integer, uuid[], integer)',
        'check_booking_conflict(uuid, date, time, time, text, uuid)',
        'register_client(text, text, uuid)',
        'register_therapist(text, text, uuid, text)',
        'set_therapist_active(uuid, boolean)',
        'get_weekly_hours(uuid)',
        'set_weekly_hours(uuid, jsonb)',
        'list_date_overrides(uuid, date, date)',
        'set_date_override(uuid, date, jsonb)',
        'list_time_off(uuid, timestamptz, timestamptz)',
        'add_time_off(uuid, timestamptz, timestamptz, text)',
        'remove_time_off(uuid)',
        'sync_external_busy(uuid, text, jsonb, timestamptz, timestamptz)',
        'grant_credits(uuid, integer, text, timestamptz, text, text, integer)',
        'adjust_credits(uuid, integer, text, uuid, text)',
        'revoke_grant(uuid, text, text)',
        'expire_credits()',
        'get_credit_balance(uuid)',
        'get_credit_history(uuid, integer, timestamptz)',
        'get_credit_statement(uuid, timestamptz, timestamptz)',
        'get_policy(uuid)',
        'set_policy(jsonb, uuid)',
        'lock_for_booking(uuid[])'
    ];
    -- Asked by the row level security policies in the name of whoever reads a table.
    c_policies constant text[] := array[
        'caller_is_trusted()',
        'actor_id()'
    ];
    -- What only the functions above, triggers and the owner call.
    c_internal constant text[] := array[
        'actor()',
        'actor_email()',
        'adopted_rows(regclass, jsonb, uuid)',
        'adopted_schedules(regclass, jsonb, uuid)',
        'adopted_tables()',
        'are_therapists(uuid[])',
        'authorise(uuid)',
        'authorise_anyone()',
        'authorise_therapist(uuid)',
        'authorise_trusted()',
        'book_once(text, uuid, uuid, date, time, integer, varchar, text, text, text, text, boolean)',
        'blocked_time(bookingdb.effective_policy, tstzrange)',
        'book_slot(uuid, bookingdb.effective_policy, date, time, text, tstzrange, varchar, text, text, uuid, boolean)',
        'bookable_span(bookingdb.effective_policy)',
        'booked_session(uuid, integer)',
        'busy_times(bookingdb.effective_policy, tstzrange, interval, uuid)',
        'call_notification()',
        'change_status(uuid, text, text, text)',
        'changed_session(uuid, integer)',
        'check_invariants()',
        'client_conflict(uuid, tstzrange, uuid)',
        'clock_minute(text)',
        'clock_window(jsonb, jsonb)',
        'copy_columns()',
        'credits_balance(uuid)',
        'date_of(text)',
        'effective_role()',
        'find_answer(text, uuid, text, bytea)',
        'free_times(bookingdb.effective_policy[], tstzrange, interval, uuid, boolean)',
        'full_times(bookingdb.effective_policy, tstzrange, uuid)',
        'find_granted_lot(text, uuid, integer)',
        'held_slot(uuid)',
        'is_free(bookingdb.effective_policy, tstzrange, uuid, boolean, boolean)',
        'is_open(bookingdb.effective_policy, tstzrange, uuid, boolean, boolean)',
        'jwt_claims()',
        'keep_times_together()',
        'later(timestamptz, interval)',
        'limit_wait()',
        'local_days(date, date, text)',
        'local_instant(date, time, text)',
        'local_windows(text, jsonb)',
        'lock_key(bigint, boolean, boolean)',
        'lock_keys(uuid[])',
        'lock_people(uuid[], boolean)',
        'lock_session(uuid)',
        'minute_windows(int4multirange)',
        'next_start(bookingdb.effective_policy, interval, timestamptz, integer, uuid, boolean)',
        'occupies_time(text)',
        'occupy_free_time(uuid, bookingdb.effective_policy, uuid, tstzrange, timestamptz, boolean)',
        'occupying_statuses()',
        'occupy_time(uuid, uuid, uuid, tstzrange, tstzrange, timestamptz)',
        'one_credit_type()',
        'open_hold(uuid)',
        'open_minutes(int4multirange, int4multirange)',
        'opening_times(bookingdb.effective_policy[], timestamptz, timestamptz)',
        'override_parts(jsonb, jsonb)',
        'override_windows(jsonb, jsonb, int4multirange)',
        'overrides_changed()',
        'part_in_session(public.sessions)',
        'people_changed()',
        'period_context(uuid, tstzrange)',
        'person_key(uuid)',
        'place_adopted_sessions()',
        'policy_of(uuid)',
        'raise_error(text, jsonb)',
        'record_balance_change()',
        'record_session_change()',
        'refresh_time_zones()',
        'refusal_context(text, bookingdb.effective_policy, tstzrange, uuid, boolean)',
        'refuse_change()',
        'register_person(text, text, uuid, text, boolean)',
        'remember_answer(text, uuid, text, bytea, uuid, integer)',
        'remove_selftest_people()',
        'request_hash(jsonb)',
        'require_booking_texts(text, text, text, text)',
        'require_credit_account(uuid)',
        'require_duration(integer, bookingdb.effective_policy)',
        'require_free_time(bookingdb.effective_policy, tstzrange, uuid, boolean)',
        'require_instant(text, timestamptz)',
        'require_length(text, text, integer, integer)',
        'require_people(uuid, uuid)',
        'require_therapist(uuid)',
        'require_to_come(timestamptz)',
        'require_transition(public.sessions, text)',
        'resolve_time_zone(text, text)',
        'return_credit(public.sessions)',
        'role_is_trusted(name)',
        'schedule_buffer(jsonb)',
        'schedule_document(jsonb)',
        'schedule_slots(jsonb, boolean)',
        'schedule_windows(jsonb)',
        'schedules_changed()',
        'slot_policy(uuid, integer, integer)',
        'slot_starts(tstzmultirange, text, integer, integer)',
        'session_changes(public.sessions, public.sessions)',
        'sessions_changed()',
        'sessions_within(uuid, tstzrange[])',
        'span_of_dates(date, date, text)',
        'steady_offset(date, date, text)',
        'sync_calendar(uuid[])',
        'sync_overrides(regclass, jsonb, uuid[], date[], boolean)',
        'sync_schedules(regclass, jsonb, uuid[], boolean)',
        'take_credit(uuid, uuid)',
        'tell_of_availability(uuid)',
        'tell_of_credits(text, uuid, uuid, integer, uuid)',
        'tell_of_hold(text, uuid)',
        'translate_availability(regclass)',
        'try_lock_people(uuid[])',
        'unplaced_sessions()',
        'unread_availability(text, regclass, jsonb)',
        'untranslated_availability()',
        'utc(timestamptz)',
        'uuid_of(text)',
        'wall_clock_instant(timestamp, text)',
        'week_minutes(uuid, date)',
        'write_session(uuid, uuid, bookingdb.effective_policy, date, time, text, tstzrange, varchar, text, text, uuid, '
        'boolean)'
    ];
    c_public_tables constant text[] := array['users', 'sessions', 'user_credits', 'booking_audit_log'];
    c_internal_tables constant text[] := array[
        'active_statuses', 'adoption', 'calendar', 'clients', 'date_overrides', 'history', 'holds', 'idempotency_keys',
        'ledger', 'outbox',
        'overlapping_sessions', 'policies', 'rewritten_records', 'selftest_people', 'therapists', 'time_zones',
        'weekly_hours'
    ];
    v_callers constant text := (
        select string_agg(quote_ident(r.rolname), ', ' order by r.rolname)
        from pg_roles as r
        where r.rolname in ('authenticated', 'service_role', 'bookingdb_service')
    );
    v_everyone constant text := concat_ws(', ', 'public', (
        select string_agg(quote_ident(r.rolname), ', ' order by r.rolname)
        from pg_roles as r
        where r.rolname in ('anon', 'authenticated', 'service_role', 'bookingdb_service')
    ));
    v_name text;
begin
    execute format('revoke all on schema bookingdb from %s', v_everyone);
    foreach v_name in array c_public loop
        execute format('revoke all on function public.%s from %s', v_name, v_everyone);
        execute format('revoke all on function bookingdb.%s from %s', v_name, v_everyone);
    end loop;
    foreach v_name in array c_policies || c_internal loop
        execute format('revoke all on function bookingdb.%s from %s', v_name, v_everyone);
    end loop;
    foreach v_name in array c_public_tables loop
        execute format('revoke all on table public.%I from %s', v_name, v_everyone);
    end loop;
    -- Sequences of identity and serial columns, whatever an application that was adopted has of them.
    for v_name in
        select d.objid::regclass::text
        from pg_depend as d
        inner join pg_class as q on q.oid = d.objid and q.relkind = 'S'
        inner join pg_class as t on t.oid = d.refobjid and t.relnamespace = 'public'::regnamespace
        where d.classid = 'pg_class'::regclass
            and d.refclassid = 'pg_class'::regclass
            and d.deptype in ('a', 'i')
            and t.relname = any (c_public_tables)
    loop
        execute format('revoke all on sequence %s from %s', v_name, v_everyone);
    end loop;
    execute format('revoke all on all sequences in schema bookingdb from %s', v_everyone);
    foreach v_name in array c_internal_tables loop
        execute format('revoke all on table bookingdb.%I from %s', v_name, v_everyone);
    end loop;

    if v_callers is not null then
        execute format('grant usage on schema bookingdb to %s', v_callers);
        foreach v_name in array c_public loop
            execute format('grant execute on function public.%s to %s', v_name, v_callers);
            execute format('grant execute on function bookingdb.%s to %s', v_name, v_callers);
        end loop;
        foreach v_name in array c_policies loop
            execute format('grant execute on function bookingdb.%s to %s', v_name, v_callers);
        end loop;
        execute format('grant select on table public.users, public.sessions, public.user_credits to %s', v_callers);
    end if;

    if to_regrole('bookingdb_service') is not null then
        grant select on table public.booking_audit_log to bookingdb_service;
    end if;

    -- service_role is an application's own server on Supabase, and may still write the tables directly.
    if to_regrole('service_role') is not null then
        grant insert, update, delete on table public.users, public.sessions, public.user_credits to service_role;
        grant select on table public.booking_audit_log to service_role;
    end if;
end;
$block$;
