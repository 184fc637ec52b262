-- is_bookable_any_time(): whether a therapist who never had weekly hours can be booked at any time.
begin;
\ir include/setup.sql
select plan(6);

select pg_temp.is_declared($$
    is_bookable_any_time(p_therapist_id uuid)
    returns boolean
    language plpgsql stable security invoker
$$);
select pg_temp.is_executed_by('is_bookable_any_time', 'authenticated', 'service_role');

-- The therapist had hours, the other therapist none
select h.weekday
from public.set_weekly_hours(
    pg_temp.therapist(), '[{"weekday": 1, "start_time": "09:00", "end_time": "12:00"}]'
) as h;
select h.weekday
from public.set_weekly_hours(pg_temp.therapist(), '[]') as h;

-- Example
select pg_temp.act_as('authenticated', pg_temp.client());
select ok(
    not public.is_bookable_any_time(pg_temp.therapist()), 'a therapist whose hours were removed is closed'
);
select ok(
    public.is_bookable_any_time(pg_temp.other_therapist()), 'a therapist who never had hours is not'
);
reset role;
select h.weekday
from public.set_weekly_hours(pg_temp.therapist(), null) as h;
select ok(public.is_bookable_any_time(pg_temp.therapist()), 'hours that are forgotten close nobody');

-- Refusal
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.is_bookable_any_time(pg_temp.client())') as e $$,
    $$
        values (
            'PT404', 'Therapist not found', jsonb_build_object(
                'code', 'therapist_not_found', 'therapist_id', pg_temp.client()
            )
        )
    $$,
    'a client is nobody who can be booked'
);

select * from finish();
rollback;
