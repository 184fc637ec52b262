-- list_time_off(): a therapist's time off, with the sessions that are booked in it all the same.
begin;
\ir include/setup.sql
select plan(5);

select pg_temp.is_declared($$
    list_time_off(p_therapist_id uuid, p_from timestamptz, p_to timestamptz)
    returns table (id uuid, start_time timestamptz, end_time timestamptz, reason text, session_ids uuid[])
    language plpgsql stable security invoker
$$);
select pg_temp.is_executed_by('list_time_off', 'authenticated', 'service_role');

-- Given
select pg_temp.book('booked', '10:00');
select t.reason
from public.add_time_off(pg_temp.therapist(), pg_temp.at('09:00'), pg_temp.at('18:00'), 'a day off') as t;

-- Example
select pg_temp.act_as('authenticated', pg_temp.therapist());
select results_eq(
    $$
        select t.start_time, t.end_time, t.reason, t.session_ids
        from public.list_time_off(pg_temp.therapist(), pg_temp.at('12:00'), pg_temp.at('12:00', 7)) as t
    $$,
    $$ values (pg_temp.at('09:00'), pg_temp.at('18:00'), 'a day off', array[pg_temp.session('booked')]) $$,
    'the therapist sees what reaches into the time'
);
select is_empty(
    'select t.id from public.list_time_off(pg_temp.therapist(), pg_temp.at(''18:00''), pg_temp.at(''18:00'', 7)) as t',
    'what ends when it begins does not'
);
reset role;

-- Refusal
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$
        select e.* from pg_temp.error_of(
            'select public.list_time_off(pg_temp.therapist(), pg_temp.at(''00:00''), pg_temp.at(''00:00'', 7))'
        ) as e
    $$,
    $$
        values (
            'PT403', 'Not allowed to act for this user', jsonb_build_object(
                'code', 'not_allowed', 'therapist_id', pg_temp.therapist()
            )
        )
    $$,
    'a client does not see when and why a therapist is away'
);
reset role;

select * from finish();
rollback;
