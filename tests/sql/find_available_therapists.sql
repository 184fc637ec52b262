-- find_available_therapists(): who can be booked in a stretch of time, with the first slot of each.
begin;
\ir include/setup.sql
select plan(5);

select pg_temp.is_declared($$
    find_available_therapists(
        p_from timestamptz, p_to timestamptz, p_duration_minutes integer default 60,
        p_therapist_ids uuid[] default null, p_limit integer default 20
    )
    returns table (therapist_id uuid, start_time timestamptz, end_time timestamptz)
    language plpgsql stable security invoker
$$);
select pg_temp.is_executed_by('find_available_therapists', 'authenticated', 'service_role');

-- The therapist is there on Mondays from nine to twelve, the other one at any time
select h.weekday
from public.set_weekly_hours(
    pg_temp.therapist(), '[{"weekday": 1, "start_time": "09:00", "end_time": "12:00"}]'
) as h;

-- Example
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$
        select f.therapist_id, f.start_time, f.end_time
        from public.find_available_therapists(pg_temp.at('08:00'), pg_temp.at('18:00')) as f
    $$,
    $$
        values
        (pg_temp.other_therapist(), pg_temp.at('08:00'), pg_temp.at('09:00')),
        (pg_temp.therapist(), pg_temp.at('09:00'), pg_temp.at('10:00'))
    $$,
    'each therapist with the first slot, the earliest first'
);
select results_eq(
    $$
        select f.therapist_id
        from public.find_available_therapists(
            pg_temp.at('08:00'), pg_temp.at('18:00'), 60, array[pg_temp.therapist(), pg_temp.nobody()]
        ) as f
    $$,
    'select pg_temp.therapist()',
    'only of those that are named'
);
reset role;

-- Refusal
select results_eq(
    $$
        select e.* from pg_temp.error_of(
            'select public.find_available_therapists(pg_temp.at(''08:00''), pg_temp.at(''18:00''), p_limit => 0)'
        ) as e
    $$,
    $$
        values (
            'PT400', 'Invalid parameter',
            jsonb '{"code": "invalid_parameter", "parameter": "p_limit", "minimum": 1, "maximum": 1000}'
        )
    $$,
    'one therapist at least is asked for, and 1000 at most'
);

select * from finish();
rollback;
