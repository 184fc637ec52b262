-- The booking at its limit: tables of which a booking reads and writes less.

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

-- Calls in flight write these. Every writer waits here, so that none is missed.
lock table bookingdb.policies, bookingdb.therapists_with_hours, bookingdb.date_overrides in access exclusive mode;

-- ---------------------------------------------------------------------------------------------------------------------
-- Checks and indexes
-- ---------------------------------------------------------------------------------------------------------------------

-- ---------------------------------------------------------------------------------------------------------------------
-- Triggers
-- ---------------------------------------------------------------------------------------------------------------------

-- ---------------------------------------------------------------------------------------------------------------------
-- Functions that have parameters more
-- ---------------------------------------------------------------------------------------------------------------------
