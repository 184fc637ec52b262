-- What load.sql does, for the tables of the version before, which tests/upgrade has: a copy that follows no migration.
-- Absences are there, too: each therapist has fifty of their own, and fifty of another calendar.
set session_replication_role = replica;
set synchronous_commit = off;
set maintenance_work_mem = '512MB';

insert into public.users (id, email, user_type, is_active, is_verified)
select p.id, p.email, p.user_type, true, true
from loaded_people as p;

insert into public.user_credits (id, user_id, credits_balance, credits_purchased)
select c.id, c.user_id, c.credits, c.credits
from loaded_credits as c;

insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor)
select c.user_id, c.id, 'grant', c.credits, c.credits, 'benchmark'
from loaded_credits as c;

alter table bookingdb.calendar drop constraint calendar_therapist_excl, drop constraint calendar_client_excl;
drop index public.sessions_user_id_start_time_idx, public.sessions_therapist_id_start_time_idx;

insert into public.sessions (
    id, user_id, therapist_id, title, description, scheduled_date, scheduled_time, start_time, end_time,
    duration_minutes, session_type, status, time_zone
)
select
    s.id, s.user_id, s.therapist_id, 'Therapy Session', '', s.scheduled_date, s.scheduled_time, s.start_time,
    s.end_time, 60, 'video', s.status, 'UTC'
from loaded_sessions as s;

insert into bookingdb.calendar (id, kind, therapist_id, client_id, period, blocked)
select s.id, 'session', s.therapist_id, s.user_id, s.period, s.period
from loaded_sessions as s
where bookingdb.occupies_time(s.status);

insert into public.booking_audit_log (session_id, user_id, action, new_status, actor)
select s.id, s.user_id, 'created', s.status, 'benchmark'
from loaded_sessions as s;

create index sessions_user_id_start_time_idx on public.sessions (user_id, start_time);
create index sessions_therapist_id_start_time_idx on public.sessions (therapist_id, start_time);
alter table bookingdb.calendar
add constraint calendar_therapist_excl exclude using gist (therapist_id with =, blocked with &&)
where (kind in ('session', 'hold') and therapist_id is not null),
add constraint calendar_client_excl exclude using gist (client_id with =, period with &&)
where (kind in ('session', 'hold') and client_id is not null);

insert into bookingdb.absences (kind, therapist_id, period, reason, external_source, external_id)
select
    case n.n % 2 when 0 then 'time_off' else 'external' end, t.id, p.period,
    case n.n % 2 when 0 then 'away' end,
    case n.n % 2 when 1 then 'another calendar' end,
    case n.n % 2 when 1 then 'event ' || n.n end
from public.users as t
cross join generate_series(1, 100) as n (n)
cross join lateral (
    -- A year after what is booked meanwhile.
    select date '{base}'::timestamp at time zone 'UTC' + make_interval(days => 365 + n.n) as start_at
) as s
cross join lateral (select tstzrange(s.start_at, s.start_at + interval '8 hours') as period) as p
where t.user_type = 'therapist';

reset session_replication_role;
