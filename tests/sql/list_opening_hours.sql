-- list_opening_hours(): when a therapist is there, free or not.
begin;
\ir include/setup.sql
select plan(4);

select pg_temp.is_declared($$
    list_opening_hours(p_therapist_id uuid, p_from date, p_to date, p_time_zone text default null)
    returns table (start_time timestamptz, end_time timestamptz)
    language plpgsql stable security invoker
$$);
select pg_temp.is_executed_by('list_opening_hours', 'authenticated', 'service_role');

-- The therapist is there on Mondays from nine to twelve, but on the second Monday in the night
select h.weekday
from public.set_weekly_hours(
    pg_temp.therapist(), '[{"weekday": 1, "start_time": "09:00", "end_time": "12:00"}]'
) as h;

select d.override_date
from public.set_date_override(
    pg_temp.therapist(), pg_temp.monday() + 7, '[{"start_time": "22:00", "end_time": "01:00"}]'
) as d;
select pg_temp.book('booked', '10:00');

-- Example
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$
        select h.start_time, h.end_time
        from public.list_opening_hours(pg_temp.therapist(), pg_temp.monday(), pg_temp.monday() + 8) as h
    $$,
    $$
        values
        (pg_temp.at('09:00'), pg_temp.at('12:00')),
        (pg_temp.at('22:00', 7), pg_temp.at('01:00', 8))
    $$,
    'weekly hours, and what overrides them, as periods of timestamps; sessions do not count'
);
reset role;

-- Refusal
select results_eq(
    $$
        select e.* from pg_temp.error_of(
            'select public.list_opening_hours(pg_temp.therapist(), pg_temp.monday(), pg_temp.monday(), ''Mars'')'
        ) as e
    $$,
    $$ values ('PT400', 'Invalid time zone', jsonb '{"code": "invalid_time_zone"}') $$,
    'dates are those of a zone that is known'
);

select * from finish();
rollback;
