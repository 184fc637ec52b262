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
-- to read one from end to end. No index has the status, not even in its condition: then no change of a status would be
-- HOT, and a cancellation would cost 2.7 % more.
create index sessions_dated_idx on public.sessions (start_time) where start_time is not null;
-- Sessions without a start, which come last in the lists.
create index sessions_undated_idx on public.sessions (id) where start_time is null;
-- The therapists among many clients.
create index users_user_type_idx on public.users (user_type);

-- ---------------------------------------------------------------------------------------------------------------------
-- Refusals
-- ---------------------------------------------------------------------------------------------------------------------

-- Who was refused what, where a policy asks for it (record_refusal). Nothing here is a foreign key: a trace waits for
-- nobody, and outlives what it is about.
create table bookingdb.refusals (
    id bigint generated always as identity,
    refused_at timestamptz not null default clock_timestamp(),
    user_id uuid not null,
    therapist_id uuid,
    session_id uuid,
    function_name text not null,
    code text not null,
    rule text,
    context jsonb not null default '{}',
    actor text not null,
    is_claim boolean not null,
    constraint refusals_pkey primary key (id)
);

comment on table bookingdb.refusals is
'Who was refused, when, and by which rule: ids, timestamps and figures, no free text. housekeeping() removes them.';
comment on column bookingdb.refusals.is_claim is
'Whether the user''s own login reported it, who may report what never was; false: a trusted login did.';

-- A person's refusals, newest first (list_refusals), and how many they had in a day (record_refusal).
create index refusals_user_id_refused_at_idx on bookingdb.refusals (user_id, refused_at);
-- Refusals that are over (housekeeping).
create index refusals_refused_at_idx on bookingdb.refusals (refused_at);
-- What was refused about a session (explain_session).
create index refusals_session_id_id_idx on bookingdb.refusals (session_id, id) where session_id is not null;

create type bookingdb.refusal as (
    id bigint,
    refused_at timestamptz,
    user_id uuid,
    therapist_id uuid,
    session_id uuid,
    function_name text,
    code text,
    rule text,
    context jsonb,
    actor text,
    is_claim boolean
);

-- A line of the story of a session (explain_session).
create type bookingdb.session_step as (
    at timestamptz,
    source text,
    what text,
    actor text,
    actor_name text,
    actor_email text,
    details jsonb
);

create type bookingdb.named_person as (
    full_name text,
    email text
);

alter type bookingdb.removed_records add attribute refusals integer;
alter type bookingdb.removed_records add attribute lapsed_sessions integer;

-- Its result has columns more, and so it is made anew.
drop function if exists public.housekeeping(integer, boolean);

-- They have another parameter now.
drop function if exists bookingdb.return_credit(public.sessions);
drop function if exists bookingdb.open_grace_lot(public.sessions, bookingdb.ledger, text, public.user_credits);

-- ---------------------------------------------------------------------------------------------------------------------
-- Local days
-- ---------------------------------------------------------------------------------------------------------------------

-- grant_credits() takes a date of expiry, too.
drop function if exists public.grant_credits(uuid, integer, text, timestamptz, text, text, integer);
drop function if exists bookingdb.grant_credits(uuid, integer, text, timestamptz, text, text, integer);

create type bookingdb.local_start as (
    start_time timestamptz,
    scheduled_date date,
    scheduled_time time,
    time_zone text
);
comment on type bookingdb.local_start is 'When a session starts, and the local time at which it was agreed.';

-- They can leave out a session that is to be moved, and ask for a client.
drop function if exists public.list_available_slots(uuid, date, date, integer, text, integer);
drop function if exists bookingdb.list_available_slots(uuid, date, date, integer, text, integer);
drop function if exists public.list_slot_states(uuid, date, date, integer, text, integer);
drop function if exists bookingdb.list_slot_states(uuid, date, date, integer, text, integer);
drop function if exists public.list_available_days(uuid, date, date, integer, text, integer);
drop function if exists bookingdb.list_available_days(uuid, date, date, integer, text, integer);
drop function if exists public.next_available_slot(uuid, integer, timestamptz, text, integer);
drop function if exists bookingdb.next_available_slot(uuid, integer, timestamptz, text, integer);
drop function if exists bookingdb.busy_times(bookingdb.effective_policy, tstzrange, interval, uuid);
drop function if exists bookingdb.full_times(bookingdb.effective_policy, tstzrange, uuid);
drop function if exists bookingdb.free_times(bookingdb.effective_policy[], tstzrange, interval, uuid, boolean);
drop function if exists bookingdb.next_start(
    bookingdb.effective_policy, interval, timestamptz, integer, uuid, boolean
);
drop function if exists bookingdb.require_free_time(bookingdb.effective_policy, tstzrange, uuid, boolean);

-- ---------------------------------------------------------------------------------------------------------------------
-- Opening hours and slots
-- ---------------------------------------------------------------------------------------------------------------------

-- Who has weekly hours, or had some: without hours they are closed. Who never had any can be booked at any time. A
-- trigger on weekly_hours fills it, and only set_weekly_hours(therapist, null) takes somebody out.
create table bookingdb.therapists_with_hours (
    therapist_id uuid not null,
    constraint therapists_with_hours_pkey primary key (therapist_id)
);

-- Nobody knows who had hours before and has none now: they can be booked at any time, as before.
insert into bookingdb.therapists_with_hours (therapist_id)
select distinct w.therapist_id
from bookingdb.weekly_hours as w;

-- A window of somebody's hours, as written: windows that touch or overlap are several. The grid of slots can begin with
-- each of them.
create type bookingdb.opening_window as (
    period tstzrange,
    time_zone text
);

create type bookingdb.therapist_window as (
    therapist_id uuid,
    period tstzrange,
    time_zone text
);

create type bookingdb.dated_window as (
    local_date date,
    start_time time,
    end_time time,
    is_written boolean
);

alter type bookingdb.opening_time add attribute windows bookingdb.opening_window[];

alter type bookingdb.free_time add attribute windows bookingdb.opening_window[];

alter table bookingdb.policies
add column slot_anchor text,
add constraint policies_slot_anchor_check check (slot_anchor in ('window', 'midnight'));

-- A new installation runs all migrations in one transaction. Practices that have slots already keep the grid they know.
update bookingdb.policies
set
    slot_anchor = case
        when exists (
            select from bookingdb.history as h
            where h.name = '0001_core' and h.applied_at = transaction_timestamp()
        ) then 'window'
        else 'midnight'
    end
where therapist_id is null;

alter table bookingdb.policies
add constraint policies_default_has_slot_anchor check (therapist_id is not null or slot_anchor is not null);

alter type bookingdb.effective_policy add attribute slot_anchor text;

-- They have a parameter more. Calls in flight find the new functions by the old arguments.
drop function if exists bookingdb.opening_times(bookingdb.effective_policy[], timestamptz, timestamptz);
drop function if exists bookingdb.slot_starts(tstzmultirange, text, integer, integer);

-- Windows of every second week (or third ...), counted from the Monday of the week of valid_from, and windows of a zone
-- of their own, for a time in which the therapist works elsewhere.
alter table bookingdb.weekly_hours
add column every_weeks integer not null default 1,
add column time_zone text,
add constraint weekly_hours_every_weeks_check check (
    every_weeks >= 1 and every_weeks <= 8 and (every_weeks = 1 or valid_from is not null)
);

-- The column is new, and so every row passes.
alter table bookingdb.weekly_hours
-- squawk-ignore adding-foreign-key-constraint
add constraint weekly_hours_time_zone_fkey foreign key (time_zone) references bookingdb.time_zones (name);

-- Windows of a zone that the server has lost.
create index weekly_hours_time_zone_idx on bookingdb.weekly_hours (time_zone);

alter type bookingdb.weekly_window
add attribute every_weeks integer,
add attribute time_zone text;

-- Their result has more columns, and so they are made anew.
drop function if exists public.get_weekly_hours(uuid);
drop function if exists public.set_weekly_hours(uuid, jsonb);

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

-- What has lapsed, for housekeeping. Few sessions wait, and no other has a place in it.
create index sessions_approval_until_idx on public.sessions (approval_until) where approval_until is not null;

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
'The rules that would have refused the session where a function last put it, and that the practice overrode (p_override). A direct UPDATE of its time leaves them: nobody judged it.';
comment on column public.sessions.hours_overridden is
'Whether opening hours would have refused the session where a function last put it. A direct UPDATE of its time leaves it.';

-- Sessions that went to another therapist, at the time they had then: their old therapist's calendar takes them out
-- (list_calendar_changes). Nothing here is a foreign key: a session that is deleted later was in that calendar, too.
create table bookingdb.former_therapists (
    therapist_id uuid not null,
    session_id uuid not null,
    start_time timestamptz not null,
    end_time timestamptz not null,
    sequence integer not null,
    constraint former_therapists_pkey primary key (therapist_id, session_id)
);

comment on table bookingdb.former_therapists is
'Sessions that went to another therapist, and the time and the number of changes (sequence) they had with the one who lost them.';

-- A session in a therapist's calendar, or one that left it (list_calendar_changes).
create type bookingdb.calendar_change as (
    session_id uuid,
    start_time timestamptz,
    end_time timestamptz,
    sequence integer,
    has_left boolean
);

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

alter table bookingdb.idempotency_keys
add column result jsonb;

comment on column bookingdb.idempotency_keys.result is
'What was answered beside result_id: the sessions that changed together; of a series, what became of each occurrence.';

-- A booked_session, and which one of the series it is; the error of one that was left out.
create type bookingdb.booked_occurrence as (
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
    occurrence integer,
    outcome text,
    error jsonb
);

-- It has a parameter more; the file has the new one.
drop function if exists bookingdb.booked_session(uuid, integer);

-- It has a parameter and columns more; the files have the new one.
drop function if exists public.book_series(
    uuid, uuid, date, time, integer, interval, integer, varchar, text, text, text, text
);
drop function if exists bookingdb.book_series(
    uuid, uuid, date, time, integer, interval, integer, varchar, text, text, text, text
);

-- ---------------------------------------------------------------------------------------------------------------------
-- External calendars
-- ---------------------------------------------------------------------------------------------------------------------

alter type bookingdb.synced_busy
add attribute rejected jsonb,
add attribute ignored integer;

-- Its result has more columns, and so it is made anew.
drop function if exists public.sync_external_busy(uuid, text, jsonb, timestamptz, timestamptz);

-- One event of another calendar, as read_external_event() reads it: busy, free, removed or rejected.
create type bookingdb.external_event as (
    external_id text,
    uid text,
    outcome text,
    period tstzrange,
    reason text,
    number integer
);

-- ---------------------------------------------------------------------------------------------------------------------
-- What versions before the last called
-- ---------------------------------------------------------------------------------------------------------------------

drop function if exists bookingdb.find_answer(text, uuid, text, bytea);
drop function if exists bookingdb.is_open(bookingdb.effective_policy, tstzrange, uuid, boolean, boolean);
drop function if exists bookingdb.later(timestamptz, interval);
drop function if exists bookingdb.open_hold(uuid);
drop function if exists bookingdb.open_minutes(int4multirange, int4multirange);
drop function if exists bookingdb.part_in_session(public.sessions);
drop function if exists bookingdb.remember_answer(text, uuid, text, bytea, uuid, integer);
drop function if exists bookingdb.tell_of_availability(uuid);
drop function if exists bookingdb.tell_of_credits(text, uuid, uuid, integer, uuid);
drop function if exists bookingdb.tell_of_hold(text, uuid);
drop function if exists bookingdb.utc(timestamptz);
