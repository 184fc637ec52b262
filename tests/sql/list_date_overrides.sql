-- list_date_overrides(): the dates on which other hours hold than the weekly ones.
begin;
\ir include/setup.sql
select plan(5);

select pg_temp.is_declared($$
    list_date_overrides(p_therapist_id uuid, p_from date, p_to date)
    returns table (override_date date, start_time time, end_time time)
    language plpgsql stable security invoker
$$);
select pg_temp.is_executed_by('list_date_overrides', 'authenticated', 'service_role');

-- One date has other hours, another one is closed
select d.override_date
from public.set_date_override(
    pg_temp.therapist(), pg_temp.monday(), '[{"start_time": "14:00", "end_time": "15:00"}]'
) as d;
select d.override_date from public.set_date_override(pg_temp.therapist(), pg_temp.monday() + 7, '[]') as d;

-- Example
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    'select d.* from public.list_date_overrides(pg_temp.therapist(), pg_temp.monday(), pg_temp.monday() + 7) as d',
    $$
        values
        (pg_temp.monday(), time '14:00', time '15:00'),
        (pg_temp.monday() + 7, null::time, null::time)
    $$,
    'both dates are included; a closed one has no times'
);
select is_empty(
    'select d.* from public.list_date_overrides(pg_temp.therapist(), pg_temp.monday() + 1, pg_temp.monday() + 6) as d',
    'where the week holds there is no row'
);
reset role;

-- Refusal
select results_eq(
    $$
        select e.sqlstate, e.message, e.detail ->> 'code'
        from pg_temp.error_of(
            'select public.list_date_overrides(pg_temp.therapist(), null, pg_temp.monday())'
        ) as e
    $$,
    $$ values ('PT400', 'Invalid date format', 'invalid_date') $$,
    'it takes two dates'
);

select * from finish();
rollback;
