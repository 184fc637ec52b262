-- What every database of the benchmark is filled with, whatever its tables are. Ids are made of numbers, but as
-- scattered as real ones: GiST cannot tell ids apart that begin alike. All but every tenth session are over; those to
-- come are at odd hours, the benchmark books even ones.
create temporary view loaded_people as
select md5('client ' || n.n)::uuid as id, 'client' || n.n || '@example.com' as email, 'user' as user_type
from generate_series(0, {clients} + 999) as n (n)
union all
select md5('therapist ' || n.n)::uuid, 'therapist' || n.n || '@example.com', 'therapist'
from generate_series(0, {therapists} + 199) as n (n);

create temporary view loaded_credits as
select md5('lot ' || n.n)::uuid as id, md5('client ' || n.n)::uuid as user_id, 1000000 as credits
from generate_series(0, {clients} + 999) as n (n);

create temporary view loaded_sessions as
select
    md5('loaded ' || n.n)::uuid as id,
    md5('client ' || (n.n % {clients}))::uuid as user_id,
    md5('therapist ' || (n.n % {therapists}))::uuid as therapist_id,
    t.start_at::date as scheduled_date,
    t.start_at::time as scheduled_time,
    t.start_at at time zone 'UTC' as start_time,
    t.start_at at time zone 'UTC' + interval '60 minutes' as end_time,
    tstzrange(t.start_at at time zone 'UTC', t.start_at at time zone 'UTC' + interval '60 minutes') as period,
    case when t.start_at < date '{base}' then 'completed' else 'scheduled' end as status
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
