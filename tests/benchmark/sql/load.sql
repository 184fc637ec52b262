-- People, credits and sessions, behind the triggers and indexed afterwards: through them ten million rows would take
-- hours. Ids are made of numbers, but as scattered as real ones: GiST cannot tell ids apart that begin alike. All but
-- every tenth session are over; those to come are at odd hours, the benchmark books even ones.
set session_replication_role = replica;
set synchronous_commit = off;
set maintenance_work_mem = '512MB';

insert into public.users (id, email, user_type, is_active, is_verified)
select md5('client ' || n.n)::uuid, 'client' || n.n || '@example.com', 'user', true, true
from generate_series(0, {clients} + 999) as n (n);

insert into public.users (id, email, user_type, is_active, is_verified)
select md5('therapist ' || n.n)::uuid, 'therapist' || n.n || '@example.com', 'therapist', true, true
from generate_series(0, {therapists} + 199) as n (n);

insert into public.user_credits (id, user_id, credits_balance, credits_purchased)
select md5('lot ' || n.n)::uuid, md5('client ' || n.n)::uuid, 1000000, 1000000
from generate_series(0, {clients} + 999) as n (n);

insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor)
select c.user_id, c.id, 'grant', c.credits_balance, c.credits_balance, 'benchmark'
from public.user_credits as c;

alter table bookingdb.calendar drop constraint calendar_therapist_excl, drop constraint calendar_client_excl;
drop index public.sessions_user_id_start_time_idx, public.sessions_therapist_id_start_time_idx;

insert into public.sessions (
    id, user_id, therapist_id, title, description, scheduled_date, scheduled_time, start_time, end_time,
    duration_minutes, session_type, status, time_zone
)
select
    gen_random_uuid(),
    md5('client ' || (n.n % {clients}))::uuid,
    md5('therapist ' || (n.n % {therapists}))::uuid,
    'Therapy Session', '', t.start_at::date, t.start_at::time, t.start_at at time zone 'UTC',
    t.start_at at time zone 'UTC' + interval '60 minutes', 60, 'video',
    case when t.start_at < date '{base}' then 'completed' else 'scheduled' end, 'UTC'
from generate_series(0, {sessions} - 1) as n (n)
cross join lateral (
    -- Of each therapist the n.n / therapists-th session: every tenth to come, one after the other.
    select n.n / {therapists} as place
) as p
cross join lateral (
    select case
        when p.place % 10 = 9
            then date '{base}'::timestamp + interval '2 days' + make_interval(hours => (p.place / 10 * 2 + 1)::integer)
        else date '{base}'::timestamp - interval '2 days' - make_interval(hours => p.place::integer * 2)
    end as start_at
) as t;

insert into bookingdb.calendar (id, kind, therapist_id, client_id, period, blocked)
select s.id, 'session', s.therapist_id, s.user_id, tstzrange(s.start_time, s.end_time),
    tstzrange(s.start_time, s.end_time)
from public.sessions as s
where bookingdb.occupies_time(s.status);

insert into public.booking_audit_log (session_id, user_id, action, new_status, actor)
select s.id, s.user_id, 'created', s.status, 'benchmark'
from public.sessions as s;

create index sessions_user_id_start_time_idx on public.sessions (user_id, start_time);
create index sessions_therapist_id_start_time_idx on public.sessions (therapist_id, start_time);
alter table bookingdb.calendar
add constraint calendar_therapist_excl exclude using gist (therapist_id with =, blocked with &&)
where (kind in ('session', 'hold') and therapist_id is not null),
add constraint calendar_client_excl exclude using gist (client_id with =, period with &&)
where (kind in ('session', 'hold') and client_id is not null);
