-- A practice's day: who acts, what became of a session, and hours as people keep them.

-- ---------------------------------------------------------------------------------------------------------------------
-- Settings of a policy
-- ---------------------------------------------------------------------------------------------------------------------

alter table bookingdb.policies
add column record_refusals boolean,
add column moved_cancellation_grace interval,
add column reschedule_window interval,
add column maximum_reschedules integer,
add column maximum_open_sessions integer,
add column maximum_client_sessions_per_week integer,
add column approval_lifetime interval,
add constraint policies_moved_cancellation_grace_check check (
    moved_cancellation_grace between interval '0' and interval '365 days'
),
add constraint policies_reschedule_window_check check (
    reschedule_window between interval '0' and interval '365 days'
),
add constraint policies_maximum_reschedules_check check (
    maximum_reschedules between 0 and 1000
),
add constraint policies_maximum_open_sessions_check check (
    maximum_open_sessions between 1 and 1000
),
add constraint policies_maximum_client_sessions_per_week_check check (
    maximum_client_sessions_per_week between 1 and 1000
),
add constraint policies_approval_lifetime_check check (
    approval_lifetime between interval '1 minute' and interval '3650 days'
);

update bookingdb.policies
set
    record_refusals = false,
    moved_cancellation_grace = interval '24 hours',
    reschedule_window = interval '0',
    maximum_reschedules = 1000,
    maximum_open_sessions = 1000,
    maximum_client_sessions_per_week = 1000,
    approval_lifetime = interval '3650 days'
where therapist_id is null;

alter table bookingdb.policies
add constraint policies_default_has_record_refusals check (
    therapist_id is not null or record_refusals is not null
),
add constraint policies_default_has_moved_cancellation_grace check (
    therapist_id is not null or moved_cancellation_grace is not null
),
add constraint policies_default_has_reschedule_window check (
    therapist_id is not null or reschedule_window is not null
),
add constraint policies_default_has_maximum_reschedules check (
    therapist_id is not null or maximum_reschedules is not null
),
add constraint policies_default_has_maximum_open_sessions check (
    therapist_id is not null or maximum_open_sessions is not null
),
add constraint policies_default_has_maximum_client_sessions_per_week check (
    therapist_id is not null or maximum_client_sessions_per_week is not null
),
add constraint policies_default_has_approval_lifetime check (
    therapist_id is not null or approval_lifetime is not null
);

-- At the end: calls in flight fill the attributes before it in their order.
alter type bookingdb.effective_policy
add attribute record_refusals boolean,
add attribute moved_cancellation_grace interval,
add attribute reschedule_window interval,
add attribute maximum_reschedules integer,
add attribute maximum_open_sessions integer,
add attribute maximum_client_sessions_per_week integer,
add attribute approval_lifetime interval;

-- Their result has more columns, and so they are made anew.
drop function if exists public.get_policy(uuid);
drop function if exists public.set_policy(jsonb, uuid);

-- ---------------------------------------------------------------------------------------------------------------------
-- Acting as a user
-- ---------------------------------------------------------------------------------------------------------------------

-- ---------------------------------------------------------------------------------------------------------------------
-- Finding sessions and people
-- ---------------------------------------------------------------------------------------------------------------------

-- A row of the table of transitions.
create type bookingdb.transition as (
    old_status text,
    new_status text,
    function_name text,
    parts text [],
    earliest interval,
    is_until_start boolean
);

create type bookingdb.found_person as (
    id uuid,
    email text,
    full_name text,
    user_type text,
    is_active boolean,
    is_verified boolean,
    time_zone text,
    credits_balance integer
);

-- A place in a list of sessions, after which a page begins.
create type bookingdb.session_place as (
    start_time timestamptz,
    session_id uuid
);

create type bookingdb.listed_session as (
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
    free_cancellation_until timestamptz,
    series_id uuid,
    client_name text,
    therapist_name text,
    next_actions text [],
    cursor text
);

create type bookingdb.listed_hold as (
    id uuid,
    user_id uuid,
    therapist_id uuid,
    start_time timestamptz,
    end_time timestamptz,
    time_zone text,
    expires_at timestamptz,
    scheduled_date date,
    scheduled_time time,
    duration_minutes integer,
    state text,
    client_name text,
    therapist_name text
);

create type bookingdb.listed_therapist as (
    id uuid,
    full_name text,
    time_zone text,
    is_active boolean,
    email text
);

-- All sessions in order; the lists of one person have their indexes already. Partial, so that no other query is tempted
-- to read one from end to end.
create index sessions_dated_idx on public.sessions (start_time) where start_time is not null;
create index sessions_undated_idx on public.sessions (id) where start_time is null;
-- The therapists among many clients.
create index users_user_type_idx on public.users (user_type);

-- ---------------------------------------------------------------------------------------------------------------------
-- Refusals
-- ---------------------------------------------------------------------------------------------------------------------

-- ---------------------------------------------------------------------------------------------------------------------
-- Local days
-- ---------------------------------------------------------------------------------------------------------------------

-- grant_credits() takes a date of expiry, too.
drop function if exists public.grant_credits(uuid, integer, text, timestamptz, text, text, integer);
drop function if exists bookingdb.grant_credits(uuid, integer, text, timestamptz, text, text, integer);

-- ---------------------------------------------------------------------------------------------------------------------
-- Opening hours and slots
-- ---------------------------------------------------------------------------------------------------------------------

-- ---------------------------------------------------------------------------------------------------------------------
-- Moves, limits and approval
-- ---------------------------------------------------------------------------------------------------------------------

-- The notice that was agreed, of a session whose limit a move has lifted: the next move goes by it.
alter table public.sessions add column cancellation_notice interval;

comment on column public.sessions.cancellation_notice is
'How long before the start the client cancels free of charge by what was agreed; only where free_cancellation_until is later than that.';

-- More parameters make another signature; the files have the new ones.
drop function if exists bookingdb.mark_limited_booking(bookingdb.effective_policy);
drop function if exists bookingdb.occupy_time(uuid, uuid, uuid, tstzrange, tstzrange, timestamptz);

alter table public.sessions add column approval_until timestamptz;

comment on column public.sessions.approval_until is
'Until when a session that waits for approval keeps its time; NULL: without an end.';

-- Besides holds, sessions that wait for approval expire.
alter table bookingdb.calendar
drop constraint calendar_hold_expires_check,
add constraint calendar_hold_expires_check check (kind <> 'hold' or expires_at is not null);

-- ---------------------------------------------------------------------------------------------------------------------
-- Statuses, transfers and overrides
-- ---------------------------------------------------------------------------------------------------------------------

alter table public.sessions
add column change_reason text,
add column overridden_rules text[];

comment on column public.sessions.change_reason is
'Why the session was last reopened or transferred, in the words of whoever did it. The audit log has the fact alone.';
comment on column public.sessions.overridden_rules is
'The rules that would have refused the session where and when it is, and that the practice overrode (p_override).';

-- They have another parameter now.
drop function if exists public.book_session_with_override(
    uuid, uuid, date, time, integer, varchar, text, text, text, boolean, text
);
drop function if exists bookingdb.book_session_with_override(
    uuid, uuid, date, time, integer, varchar, text, text, text, boolean, text
);
drop function if exists public.reschedule_session(uuid, date, time, integer, text, text);
drop function if exists bookingdb.reschedule_session(uuid, date, time, integer, text, text);
drop function if exists bookingdb.book_once(
    text, uuid, uuid, date, time, integer, varchar, text, text, text, text, boolean
);
drop function if exists bookingdb.book_slot(
    uuid, bookingdb.effective_policy, date, time, text, tstzrange, varchar, text, text, uuid, boolean
);
drop function if exists bookingdb.write_session(
    uuid, uuid, bookingdb.effective_policy, date, time, text, tstzrange, varchar, text, text, uuid, boolean
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Series
-- ---------------------------------------------------------------------------------------------------------------------

-- ---------------------------------------------------------------------------------------------------------------------
-- External calendars
-- ---------------------------------------------------------------------------------------------------------------------
