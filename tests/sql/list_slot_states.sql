begin;
\ir include/setup.sql
select plan(8);

select has_function(
    'public', 'list_slot_states', array['uuid', 'date', 'date', 'integer', 'text', 'integer']
);
select function_returns('public'::name, 'list_slot_states'::name, 'setof record');
select volatility_is('public'::name, 'list_slot_states'::name, 'stable');
select isnt_definer('public'::name, 'list_slot_states'::name);

-- The therapist is there on Mondays from nine to twelve, and has a session at ten.
select public.register_therapist('a@therapist.test', 'A', pg_temp.therapist(), 'Asia/Kathmandu');
select public.register_client('a@client.test', 'A', pg_temp.client());
select g.lot_balance from public.grant_credits(pg_temp.client(), 10) as g;
select h.weekday
from public.set_weekly_hours(
    pg_temp.therapist(), '[{"weekday": 1, "start_time": "09:00", "end_time": "12:00"}]'
) as h;
select pg_temp.book('booked', pg_temp.client(), pg_temp.therapist(), pg_temp.monday() - current_date, '10:00');

select results_eq(
    $$
        select s.local_time, s.state
        from public.list_slot_states(
            pg_temp.therapist(), pg_temp.monday(), pg_temp.monday(), p_step_minutes => 60
        ) as s
        where s.local_time between '08:00' and '12:00'
    $$,
    $$
        values
        (time '08:00', 'off'), (time '09:00', 'free'), (time '10:00', 'taken'), (time '11:00', 'free'),
        (time '12:00', 'off')
    $$,
    'every time of the grid with its state, in order'
);
select results_eq(
    $$
        select s.start_time, s.end_time, s.local_date, s.local_time
        from public.list_slot_states(pg_temp.therapist(), pg_temp.monday(), pg_temp.monday() + 14) as s
        where s.state = 'free'
    $$,
    $$
        select s.start_time, s.end_time, s.local_date, s.local_time
        from public.list_available_slots(pg_temp.therapist(), pg_temp.monday(), pg_temp.monday() + 14) as s
    $$,
    'what is free is what list_available_slots() lists'
);
select is(
    (
        select count(*)::integer
        from public.list_slot_states(
            pg_temp.therapist(), current_date - 10, current_date - 8, p_step_minutes => 60
        ) as s
        where s.state = 'off'
    ),
    72,
    'what is over is off'
);
select throws_ok(
    'select public.list_slot_states(pg_temp.therapist(), pg_temp.monday(), pg_temp.monday() + 366)',
    'PT400',
    'Invalid parameter',
    'more than 366 days are not listed at once'
);

select * from finish();
rollback;
