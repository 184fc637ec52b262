-- Events reach the world: destinations, deliveries, and what people want to be told of.

-- Its triggers are made anew after the migration, and it gets columns.
lock table public.sessions in access exclusive mode;

-- ---------------------------------------------------------------------------------------------------------------------
-- Sessions
-- ---------------------------------------------------------------------------------------------------------------------

-- The revision only grows. The two of video are written by set_session_video() and count as no change.
alter table public.sessions
add column revision integer not null default 0,
add column video_url text,
add column video_status text;

comment on column public.sessions.revision is
'How often the session was changed since it was booked: calendars know by it which invitation is newer.';
comment on column public.sessions.video_url is 'The address of the room in which the session takes place.';
comment on column public.sessions.video_status is 'ready, failed, or NULL: no room, or none yet.';

-- ---------------------------------------------------------------------------------------------------------------------
-- Destinations and deliveries
-- ---------------------------------------------------------------------------------------------------------------------

create table bookingdb.destinations (
    id uuid not null default gen_random_uuid(),
    name text not null,
    kind text not null,
    events text[] not null,
    settings jsonb not null default '{}',
    secrets jsonb not null default '{}',
    state jsonb not null default '{}',
    is_enabled boolean not null default true,
    disabled_reason text,
    starts_at timestamptz not null default clock_timestamp(),
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    constraint destinations_pkey primary key (id),
    constraint destinations_name_key unique (name)
);

comment on table bookingdb.destinations is 'Receivers of events: which events they are told of, and how.';
comment on column bookingdb.destinations.events is
'Types of events such as session.booked; session.* and * stand for many.';
comment on column bookingdb.destinations.secrets is
'Secrets that claim_deliveries() alone hands out, and to workers alone.';
comment on column bookingdb.destinations.state is 'A note of its sender for the next time, such as an ETag.';
comment on column bookingdb.destinations.starts_at is 'Earlier events are none of its.';

create table bookingdb.deliveries (
    id uuid not null default gen_random_uuid(),
    destination_id uuid not null,
    event_id bigint,
    part integer not null default 0,
    type text not null,
    subject_id uuid not null,
    recipient_id uuid not null default '00000000-0000-0000-0000-000000000000',
    data jsonb not null,
    occurred_at timestamptz not null default clock_timestamp(),
    status text not null default 'pending',
    is_next boolean not null default false,
    due_at timestamptz not null default clock_timestamp(),
    attempts integer not null default 0,
    token uuid,
    claimed_at timestamptz,
    status_code integer,
    detail text,
    created_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    constraint deliveries_pkey primary key (id),
    constraint deliveries_destination_id_fkey foreign key (destination_id)
    references bookingdb.destinations (id) on delete cascade,
    constraint deliveries_status_check check (status = any('{pending,delivered,dead,dropped}'::text[])),
    constraint deliveries_finished_at_check check ((finished_at is null) = (status = 'pending')),
    constraint deliveries_is_next_check check (not is_next or status = 'pending'),
    constraint deliveries_token_check check (token is null or is_next)
);

comment on table bookingdb.deliveries is
'One event on its way to one destination, or on record as delivered, dead or dropped.';
comment on column bookingdb.deliveries.id is 'The idempotency key of the receiver, the same in every attempt.';
comment on column bookingdb.deliveries.event_id is
'The row of the outbox; NULL for a reminder, a test, or a calendar to fetch.';
comment on column bookingdb.deliveries.part is 'One row of the outbox can tell of several events: 0 is its own.';
comment on column bookingdb.deliveries.recipient_id is
'The person who gets the mail; the zero id where it is for no single one.';
comment on column bookingdb.deliveries.is_next is
'Whether it is the oldest unfinished one of its line: destination, subject and recipient. Only such a one is claimed.';
comment on column bookingdb.deliveries.due_at is
'The time of the next attempt, or the end of the lease of its claim.';
comment on column bookingdb.deliveries.token is 'The claim under way; only who has it finishes the delivery.';
comment on column bookingdb.deliveries.detail is
'Words of the receiver or the worker about the last attempt.';

-- An event is relayed once to each destination and recipient.
create unique index deliveries_event_key on bookingdb.deliveries (event_id, part, destination_id, recipient_id)
where event_id is not null;
-- A reminder exists once: its subject is made of session, rule and start.
create unique index deliveries_reminder_key on bookingdb.deliveries (subject_id, destination_id, recipient_id)
where event_id is null;
-- At most one of a line is next.
create unique index deliveries_next_key on bookingdb.deliveries (destination_id, subject_id, recipient_id)
where is_next;
-- What can be claimed, the longest due first (claim_deliveries).
create index deliveries_due_idx on bookingdb.deliveries (destination_id, due_at) where is_next;
-- What is being sent, so that no destination takes every worker (claim_deliveries).
create index deliveries_claimed_idx on bookingdb.deliveries (destination_id) where token is not null;
-- A line in its order (relay_events, finish_delivery), and what became of a subject's events (list_deliveries).
create index deliveries_line_idx on bookingdb.deliveries (
    destination_id, subject_id, recipient_id, event_id, part
);
-- The deliveries of a destination, the newest first (list_deliveries, replay_deliveries). The condition keeps it out of
-- questions for a line: without statistics Postgres would answer them by reading all of a destination.
create index deliveries_created_at_idx on bookingdb.deliveries (destination_id, created_at)
where created_at is not null;
-- The backlog and its oldest event (deliveries_status).
create index deliveries_pending_idx on bookingdb.deliveries (destination_id, occurred_at)
where status = 'pending' and event_id is not null;
-- The dead ones (deliveries_status, replay_deliveries).
create index deliveries_dead_idx on bookingdb.deliveries (destination_id, created_at) where status = 'dead';
-- Reminders of a session (relay_events).
create index deliveries_session_idx on bookingdb.deliveries ((data ->> 'session_id'))
where type = 'session.reminder';
-- What is over (housekeeping).
create index deliveries_finished_at_idx on bookingdb.deliveries (finished_at) where finished_at is not null;
-- Deliveries to a person, for whoever is erased or merged.
create index deliveries_recipient_id_idx on bookingdb.deliveries (recipient_id)
where recipient_id <> '00000000-0000-0000-0000-000000000000';

-- Events that nobody has relayed yet. A booking writes one entry of it more: 0.3 % of its instructions.
create index outbox_unhandled_idx on bookingdb.outbox (id) where handled_at is null;

-- ---------------------------------------------------------------------------------------------------------------------
-- People: how to reach them, and when to remind them
-- ---------------------------------------------------------------------------------------------------------------------

create table bookingdb.contacts (
    person_id uuid not null,
    email text,
    phone text,
    time_zone text,
    language text,
    quiet_from time,
    quiet_until time,
    consents jsonb not null default '{}',
    updated_at timestamptz not null default clock_timestamp(),
    constraint contacts_pkey primary key (person_id),
    constraint contacts_quiet_check check ((quiet_from is null) = (quiet_until is null))
);

comment on table bookingdb.contacts is
'How a person wants to be reached; what is not here is as the application has it.';
comment on column bookingdb.contacts.consents is
'Channel to whether the person agrees. Without a word of theirs, e-mail is agreed to and nothing else.';

create table bookingdb.reminder_rules (
    name text not null,
    before interval not null,
    audience text[] not null,
    channel text not null,
    heeds_quiet_hours boolean not null default true,
    updated_at timestamptz not null default clock_timestamp(),
    constraint reminder_rules_pkey primary key (name)
);

comment on table bookingdb.reminder_rules is 'How long before a session who is reminded of it, by which channel.';

insert into bookingdb.reminder_rules (name, before, audience, channel)
values
('day', interval '24 hours', '{client}', 'email'),
('hour', interval '1 hour', '{client}', 'email');

create table bookingdb.calendar_feeds (
    person_id uuid not null,
    secret_hash bytea not null,
    created_at timestamptz not null default clock_timestamp(),
    constraint calendar_feeds_pkey primary key (person_id),
    constraint calendar_feeds_secret_hash_key unique (secret_hash)
);

comment on table bookingdb.calendar_feeds is 'The secret addresses of people''s calendars: a hash (SHA-256) of each.';

create table bookingdb.expiry_notices (
    lot_id uuid not null,
    expires_at timestamptz not null,
    created_at timestamptz not null default clock_timestamp(),
    constraint expiry_notices_pkey primary key (lot_id, expires_at)
);

comment on table bookingdb.expiry_notices is 'Lots whose coming end was told, once for each end they had.';

-- ---------------------------------------------------------------------------------------------------------------------
-- Results
-- ---------------------------------------------------------------------------------------------------------------------

create type bookingdb.typed_event as (part integer, type text, subject_id uuid, data jsonb);

create type bookingdb.listed_destination as (
    name text,
    kind text,
    events text [],
    settings jsonb,
    secret_names text [],
    is_enabled boolean,
    disabled_reason text,
    starts_at timestamptz,
    created_at timestamptz
);

create type bookingdb.claimed_delivery as (
    id uuid,
    token uuid,
    attempt integer,
    destination text,
    kind text,
    settings jsonb,
    secrets jsonb,
    state jsonb,
    type text,
    subject_id uuid,
    recipient_id uuid,
    body jsonb,
    context jsonb,
    leased_until timestamptz
);

create type bookingdb.listed_delivery as (
    id uuid,
    destination text,
    kind text,
    type text,
    subject_id uuid,
    recipient_id uuid,
    status text,
    attempts integer,
    occurred_at timestamptz,
    created_at timestamptz,
    due_at timestamptz,
    finished_at timestamptz,
    status_code integer,
    detail text
);

create type bookingdb.destination_status as (
    destination text,
    kind text,
    is_enabled boolean,
    disabled_reason text,
    backlog integer,
    due integer,
    in_flight integer,
    oldest timestamptz,
    dead integer
);

create type bookingdb.joinable_session as (
    may_join boolean,
    reason text,
    video_url text,
    video_status text,
    opens_at timestamptz,
    closes_at timestamptz,
    part text,
    room_name text
);

create type bookingdb.contact as (
    user_id uuid,
    email text,
    phone text,
    time_zone text,
    language text,
    quiet_from time,
    quiet_until time,
    consents jsonb
);

create type bookingdb.reminder_rule as (
    name text,
    before interval,
    audience text [],
    channel text,
    heeds_quiet_hours boolean
);

create type bookingdb.feed_entry as (
    session_id uuid,
    part text,
    title text,
    session_type text,
    status text,
    start_time timestamptz,
    end_time timestamptz,
    with_name text,
    sequence integer,
    created_at timestamptz,
    time_zone text
);
