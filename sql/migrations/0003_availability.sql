-- When a therapist can be booked: hours, exceptions, time off, external appointments, buffers, notice, limits.

-- ---------------------------------------------------------------------------------------------------------------------
-- Policies: null in a therapist's row means the default's
-- ---------------------------------------------------------------------------------------------------------------------

alter table bookingdb.policies
add column buffer_before_minutes integer,
add column buffer_after_minutes integer,
add column minimum_notice interval,
add column maximum_advance interval,
add column slot_step_minutes integer,
add column slot_offset_minutes integer,
add column maximum_sessions_per_day integer,
add column maximum_sessions_per_week integer,
add column require_hours boolean,
add constraint policies_buffer_before_check check (buffer_before_minutes between 0 and 720),
add constraint policies_buffer_after_check check (buffer_after_minutes between 0 and 720),
add constraint policies_slot_step_check check (slot_step_minutes between 1 and 1440),
add constraint policies_slot_offset_check check (slot_offset_minutes between 0 and 1439),
add constraint policies_sessions_per_day_check check (maximum_sessions_per_day between 1 and 1000),
add constraint policies_sessions_per_week_check check (maximum_sessions_per_week between 1 and 1000);

comment on column bookingdb.policies.maximum_sessions_per_day is 'Local days of the therapist; 1000 is no limit.';
comment on column bookingdb.policies.maximum_sessions_per_week is
'Local weeks of the therapist, from Monday; 1000 is no limit.';

update bookingdb.policies
set
    buffer_before_minutes = 0,
    buffer_after_minutes = 0,
    minimum_notice = interval '0',
    maximum_advance = interval '365 days',
    slot_step_minutes = 15,
    slot_offset_minutes = 0,
    maximum_sessions_per_day = 1000,
    maximum_sessions_per_week = 1000,
    require_hours = false
where therapist_id is null;

alter table bookingdb.policies
drop constraint policies_default_is_complete,
add constraint policies_default_is_complete check (
    therapist_id is not null
    or num_nulls(
        time_zone, minimum_duration_minutes, maximum_duration_minutes, cancellation_window, refund_grace, hold_lifetime,
        buffer_before_minutes, buffer_after_minutes, minimum_notice, maximum_advance, slot_step_minutes,
        slot_offset_minutes, maximum_sessions_per_day, maximum_sessions_per_week, require_hours
    ) = 0
);

alter type bookingdb.effective_policy
add attribute buffer_before_minutes integer,
add attribute buffer_after_minutes integer,
add attribute minimum_notice interval,
add attribute maximum_advance interval,
add attribute slot_step_minutes integer,
add attribute slot_offset_minutes integer,
add attribute maximum_sessions_per_day integer,
add attribute maximum_sessions_per_week integer,
add attribute require_hours boolean;

-- ---------------------------------------------------------------------------------------------------------------------
-- Hours
-- ---------------------------------------------------------------------------------------------------------------------

-- A therapist's week: a row per window, in the local time of the therapist's zone. A window that ends at or before its
-- start ends on the next day; it belongs to the day on which it starts.
create table bookingdb.weekly_hours (
    id bigint generated always as identity,
    therapist_id uuid not null,
    weekday integer not null,
    start_time time not null,
    end_time time not null,
    valid_from date,
    valid_to date,
    constraint weekly_hours_pkey primary key (id),
    constraint weekly_hours_weekday_check check (weekday between 1 and 7),
    constraint weekly_hours_valid_check check (valid_from <= valid_to)
);

comment on column bookingdb.weekly_hours.weekday is 'ISO 8601: 1 is Monday, 7 is Sunday.';
comment on column bookingdb.weekly_hours.valid_to is 'The last date on which the window starts.';

-- A therapist's week.
create index weekly_hours_therapist_id_idx on bookingdb.weekly_hours (therapist_id, weekday);

-- What holds on a single date instead of the week: a row per window, or one without times on a date that is closed.
create table bookingdb.date_overrides (
    id bigint generated always as identity,
    therapist_id uuid not null,
    override_date date not null,
    start_time time,
    end_time time,
    constraint date_overrides_pkey primary key (id),
    constraint date_overrides_times_check check ((start_time is null) = (end_time is null))
);

-- A therapist's exceptions in order of date.
create index date_overrides_therapist_id_idx on bookingdb.date_overrides (therapist_id, override_date);

-- ---------------------------------------------------------------------------------------------------------------------
-- Time off, external appointments, hours that were overridden
-- ---------------------------------------------------------------------------------------------------------------------

alter table bookingdb.calendar
add column reason text,
add column external_source text,
add column external_id text;

comment on column bookingdb.calendar.external_source is 'Which calendar an external appointment is from.';

-- An external appointment is one row, however often it is sent.
create unique index calendar_external_key on bookingdb.calendar (therapist_id, external_source, external_id)
where kind = 'external';

alter table public.sessions
add column hours_overridden boolean not null default false;

comment on column public.sessions.hours_overridden is
'Whether it was booked outside of the therapist''s hours on purpose (book_session_with_override).';

-- ---------------------------------------------------------------------------------------------------------------------
-- What functions return
-- ---------------------------------------------------------------------------------------------------------------------

-- The instants at which sessions of a given length can start.
create type bookingdb.free_time as (
    therapist_id uuid,
    starts tstzmultirange
);

-- What is in the way of a session of a given length: the instants at which that could not start.
create type bookingdb.busy_time as (
    kind text,
    period tstzrange,
    starts tstzrange
);

create type bookingdb.opening_time as (
    therapist_id uuid,
    open tstzmultirange
);

create type bookingdb.local_day as (
    local_date date,
    starts_at timestamptz,
    ends_at timestamptz
);

create type bookingdb.available_slot as (
    start_time timestamptz,
    end_time timestamptz,
    local_date date,
    local_time time
);

create type bookingdb.available_day as (
    local_date date,
    slots integer,
    first_start timestamptz,
    last_start timestamptz
);

create type bookingdb.available_therapist as (
    therapist_id uuid,
    start_time timestamptz,
    end_time timestamptz
);

create type bookingdb.opening_period as (
    start_time timestamptz,
    end_time timestamptz
);

create type bookingdb.weekly_window as (
    weekday integer,
    start_time time,
    end_time time,
    valid_from date,
    valid_to date
);

create type bookingdb.date_window as (
    override_date date,
    start_time time,
    end_time time
);

create type bookingdb.absence as (
    id uuid,
    start_time timestamptz,
    end_time timestamptz,
    reason text,
    session_ids uuid []
);

create type bookingdb.synced_busy as (
    inserted integer,
    updated integer,
    removed integer,
    session_ids uuid []
);

-- More columns or parameters make another signature; the files have the new ones.
drop function if exists public.get_policy(uuid);
drop function if exists public.set_policy(jsonb, uuid);
drop function if exists bookingdb.book_slot(
    uuid, uuid, uuid, date, time, text, timestamptz, integer, varchar, text, text, uuid
);
drop function if exists bookingdb.occupy_time(uuid, uuid, uuid, tstzrange, timestamptz);
drop function if exists bookingdb.therapist_conflict(uuid, tstzrange, uuid);
