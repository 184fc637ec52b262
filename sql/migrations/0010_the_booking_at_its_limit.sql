-- The booking at its limit: tables of which a booking reads and writes less.

-- Their triggers are made anew after the migration. A booking locks them before the calendar, and so does an upgrade,
-- which would meet it in a deadlock.
lock table public.sessions, public.user_credits in access exclusive mode;

-- ---------------------------------------------------------------------------------------------------------------------
-- What the version before kept for calls in flight
-- ---------------------------------------------------------------------------------------------------------------------

drop function if exists bookingdb.moved_cancellation_terms(
    bookingdb.effective_policy, timestamptz, timestamptz, timestamptz
);
-- squawk-ignore ban-drop-type
drop type bookingdb.credit_grant;
-- squawk-ignore ban-drop-type
drop type bookingdb.revoked_grant;

-- ---------------------------------------------------------------------------------------------------------------------
-- Absences
-- ---------------------------------------------------------------------------------------------------------------------

-- Time off and appointments of other calendars have a table of their own, and with them the stand-ins for sessions that
-- overlapped others in an adopted database: a session is in three indexes and three columns less.
create table bookingdb.absences (
    id uuid not null default gen_random_uuid(),
    kind text not null,
    therapist_id uuid,
    client_id uuid,
    period tstzrange not null,
    reason text,
    external_source text,
    external_id text,
    is_long boolean not null generated always as (
        (upper(period) at time zone 'UTC') > (lower(period) at time zone 'UTC') + interval '168 hours'
    ) stored,
    constraint absences_pkey primary key (id),
    constraint absences_kind_check check (kind = any('{time_off,external}'::text[])),
    constraint absences_period_check check (
        not isempty(period) and lower_inc(period) and not upper_inc(period)
        and not lower_inf(period) and not upper_inf(period)
    ),
    constraint absences_client_id_check check (client_id is null or external_source is not distinct from 'adoption')
);

comment on table bookingdb.absences is
'When therapists are away or busy elsewhere: time off, appointments of other calendars, and stand-ins of overlapping_sessions.';
comment on column bookingdb.absences.client_id is 'The client of the session that a stand-in (adoption) has the id of.';
comment on column bookingdb.absences.is_long is
'Whether it is of more than a week. What overlaps a time and is not began less than a week before it.';
comment on column bookingdb.absences.external_source is 'Which calendar an external appointment is from.';

-- Calls in flight write these. Every writer waits here, so that none is missed.
lock table bookingdb.calendar in access exclusive mode;

-- Their triggers would mark each therapist, row by row. One mark of the default policy does instead: a transaction with
-- an older snapshot, which does not see the new table's rows, cannot book any more (require_current_rules).
drop trigger if exists _bookingdb_rules_insert on bookingdb.calendar;
drop trigger if exists _bookingdb_rules_update on bookingdb.calendar;
drop trigger if exists _bookingdb_rules_delete on bookingdb.calendar;

insert into bookingdb.rule_changes as r (person_id) values ('00000000-0000-0000-0000-000000000000')
on conflict (person_id) do update
    set
        changed_by = pg_current_xact_id(),
        changed_at = transaction_timestamp();

-- The calendar is read once for its absences, and once more for its check; only absences are written.
with moved as (
    delete from bookingdb.calendar as c
    where c.kind in ('time_off', 'external')
    returning c.id, c.kind, c.therapist_id, c.client_id, c.period, c.reason, c.external_source, c.external_id
)

insert into bookingdb.absences (id, kind, therapist_id, client_id, period, reason, external_source, external_id)
select
    m.id,
    m.kind,
    m.therapist_id,
    case when m.external_source = 'adoption' then m.client_id end as client_id,
    m.period,
    m.reason,
    m.external_source,
    m.external_id
from moved as m;

-- Absences of up to a week in the way of a booking (book_quickly), which reads those that began less than a week before
-- it. Among many absences the index over periods, below, costs far more.
create index absences_therapist_id_start_idx on bookingdb.absences (therapist_id, lower(period), upper(period))
where not is_long;
-- The few longer ones (book_quickly), which reads those that are not over by then.
create index absences_therapist_id_end_idx on bookingdb.absences (therapist_id, upper(period), lower(period))
where is_long;
-- Absences around longer times (busy_times, list_time_off).
create index absences_therapist_id_period_idx on bookingdb.absences using gist (therapist_id, period)
where therapist_id is not null;
-- A client's sessions that have a stand-in (client_conflict). No other absence has a client.
create index absences_client_id_idx on bookingdb.absences (client_id) where client_id is not null;
-- An external appointment is one row, however often it is sent (sync_external_busy).
create unique index absences_external_key on bookingdb.absences (therapist_id, external_source, external_id)
where kind = 'external';

drop index bookingdb.calendar_absence_idx;
drop index bookingdb.calendar_external_key;
drop index bookingdb.calendar_stand_in_idx;

-- A call in flight that would look for absences in the calendar names one of these columns, and fails.
alter table bookingdb.calendar
-- squawk-ignore ban-drop-column
drop column reason,
-- squawk-ignore ban-drop-column
drop column external_source,
-- squawk-ignore ban-drop-column
drop column external_id,
add column is_lapsed boolean;

comment on column bookingdb.calendar.is_lapsed is
'Of a session that is being cancelled because nobody approved it in time (lapse_sessions).';

-- ---------------------------------------------------------------------------------------------------------------------
-- Effective rules
-- ---------------------------------------------------------------------------------------------------------------------

-- A therapist's rules in one row: their own settings, else the default's. Everybody without a row has that of the zero
-- id. Every installation ends with write_rules(), which fills the table here; then the triggers keep it in step.
create table bookingdb.rules (
    therapist_id uuid not null,
    has_hours boolean not null,
    is_plain boolean not null,
    buffer_before interval not null,
    buffer_after interval not null,
    open_week tsmultirange not null,
    has_dated_hours boolean not null,
    override_dates date[] not null,
    time_zone text not null,
    minimum_duration_minutes integer not null,
    maximum_duration_minutes integer not null,
    cancellation_window interval not null,
    refund_grace interval not null,
    hold_lifetime interval not null,
    buffer_before_minutes integer not null,
    buffer_after_minutes integer not null,
    minimum_notice interval not null,
    maximum_advance interval not null,
    slot_step_minutes integer not null,
    slot_offset_minutes integer not null,
    maximum_sessions_per_day integer not null,
    maximum_sessions_per_week integer not null,
    require_hours boolean not null,
    retention_days integer not null,
    record_refusals boolean not null,
    moved_cancellation_grace interval not null,
    reschedule_window interval not null,
    maximum_reschedules integer not null,
    maximum_open_sessions integer not null,
    maximum_client_sessions_per_week integer not null,
    approval_lifetime interval not null,
    slot_anchor text not null,
    credits_valid_on text not null,
    constraint rules_pkey primary key (therapist_id)
);

comment on table bookingdb.rules is
'The settings that hold for each therapist with a policy, hours or overrides of their own; the zero id has all others''.';
comment on column bookingdb.rules.has_hours is 'Whether there are or were weekly hours, or are overrides.';
comment on column bookingdb.rules.is_plain is 'Whether nothing is limited, and credits count on the day of booking.';
comment on column bookingdb.rules.open_week is
'The weekly hours that hold every week, in the therapist''s zone, as times of the week from 1 January 1900 on: a day before it and after it, too. All time where no hours are needed.';
comment on column bookingdb.rules.has_dated_hours is
'Whether there are weekly hours beside open_week: some weeks only, between two dates, or in a zone of their own.';
comment on column bookingdb.rules.override_dates is 'The dates that have an override.';

-- Calls in flight write these. Every writer waits here, so that none is missed.
lock table bookingdb.policies, bookingdb.therapists_with_hours, bookingdb.date_overrides in access exclusive mode;

-- ---------------------------------------------------------------------------------------------------------------------
-- Checks and indexes
-- ---------------------------------------------------------------------------------------------------------------------

-- The same rules in fewer words, which Postgres reads anew for each statement: 30 thousand instructions of a booking.
-- A range without a lower bound, or without anything in it, includes no lower bound. (The calendar is read once more.)
alter table bookingdb.calendar
drop constraint calendar_kind_check,
drop constraint calendar_hold_expires_check,
drop constraint calendar_period_check,
add constraint calendar_kind_check check (kind = 'session' or (kind = 'hold' and expires_at is not null)),
add constraint calendar_period_check check (
    lower_inc(period) and not upper_inc(period) and not upper_inf(period) and blocked @> period
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Triggers
-- ---------------------------------------------------------------------------------------------------------------------

-- The sessions that a statement under way wrote directly. The row trigger names them here, and the trigger at its end
-- takes them out, so no transaction leaves a row. The transaction is part of the key, because dead rows of a large COPY
-- would cost every booking.
create table bookingdb.sessions_to_place (
    transaction_id xid8 not null,
    trigger_depth integer not null,
    is_new boolean not null,
    session_id uuid not null,
    constraint sessions_to_place_pkey primary key (transaction_id, trigger_depth, is_new, session_id)
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Functions that have parameters more
-- ---------------------------------------------------------------------------------------------------------------------

-- What one search finds out: the free starts, a point of their grid, the zone's offset from UTC, the first of them, and
-- what is against the first of the times that were searched.
create type bookingdb.free_starts as (
    starts tstzmultirange,
    origin timestamptz,
    utc_offset interval,
    next_start timestamptz,
    is_open boolean,
    rule text
);

drop function if exists bookingdb.refusal_context(text, bookingdb.effective_policy, tstzrange, uuid, boolean);
drop function if exists bookingdb.require_free_time(bookingdb.effective_policy, tstzrange, uuid, boolean, uuid);
