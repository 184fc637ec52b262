-- reschedule_series(): move a session, and the later ones of its series by as many days.
begin;
\ir include/setup.sql
select plan(6);

select pg_temp.is_declared($$
    reschedule_series(
        p_session_id uuid, p_session_date date, p_session_time time, p_duration_minutes integer default null,
        p_time_zone text default null, p_idempotency_key text default null
    )
    returns table (
        id uuid, user_id uuid, therapist_id uuid, title varchar, description text, scheduled_date date,
        scheduled_time time, start_time timestamptz, end_time timestamptz, duration_minutes integer,
        session_type varchar, status varchar, created_at timestamptz, time_zone text, credits_balance integer,
        free_cancellation_until timestamptz, refunded boolean
    )
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('reschedule_series', 'authenticated', 'service_role');

-- Given
create temporary table booked as
select
    b.id,
    b.occurrence
from public.book_series(pg_temp.client(), pg_temp.therapist(), pg_temp.monday(), '10:00', 3) as b;
create function pg_temp.of_series(p_occurrence integer) returns uuid language plpgsql stable as $function$
begin
    return (select b.id from pg_temp.booked as b where b.occurrence = p_occurrence);
end;
$function$;
grant select on pg_temp.booked to authenticated;

-- Example
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$
        select m.id = pg_temp.of_series(2), m.start_time, m.end_time, m.status::text, m.credits_balance
        from public.reschedule_series(pg_temp.of_series(2), pg_temp.monday() + 14, '12:00', 90) as m
    $$,
    $$
        values
        (true, pg_temp.at('12:00', 14), pg_temp.at('13:30', 14), 'scheduled', 2),
        (false, pg_temp.at('12:00', 21), pg_temp.at('13:30', 21), 'scheduled', 2)
    $$,
    'the client moves the rest by a week'
);
reset role;
select set_eq(
    'select c.id, c.period from bookingdb.calendar as c',
    'select s.id, tstzrange(s.start_time, s.end_time) from public.sessions as s',
    'the calendar follows'
);
select is(
    pg_temp.events(pg_temp.of_series(3)), array['session.created', 'session.updated'], 'one event tells of each'
);

-- Refusal
select pg_temp.book('in the way', '16:00');
select results_eq(
    $$
        select e.detail -> 'code', e.detail -> 'occurrence', e.detail -> 'session_date', e.detail -> 'session_id'
        from pg_temp.error_of(
            'select public.reschedule_series(pg_temp.of_series(1), pg_temp.monday(), ''16:30'')'
        ) as e
    $$,
    $$
        values (
            jsonb '"booking_conflict"', jsonb '1', to_jsonb(pg_temp.monday()), to_jsonb(pg_temp.of_series(1))
        )
    $$,
    'the error names the session that cannot move, and nothing moves'
);

select * from finish();
rollback;
