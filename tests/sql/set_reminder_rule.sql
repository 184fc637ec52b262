-- set_reminder_rule(): who is reminded, when and how.
begin;
\ir include/setup.sql
select plan(6);

select pg_temp.is_declared($$
    set_reminder_rule(
        p_name text, p_before interval, p_audience text[] default '{client}', p_channel text default 'email',
        p_heeds_quiet_hours boolean default true
    )
    returns table (name text, before interval, audience text[], channel text, heeds_quiet_hours boolean)
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('set_reminder_rule', 'authenticated', 'service_role');

-- Given
select pg_temp.book('booked', '10:00');
insert into bookingdb.destinations (name, kind, events, settings)
values ('sms', 'webhook', '{session.*}', '{"channel": "sms"}');

-- Example
select pg_temp.act_as('service_role');
select results_eq(
    $$ select r.* from public.set_reminder_rule('soon', '1 day', '{therapist,client}', 'sms', false) as r $$,
    $$ values ('soon', interval '24 hours', array['client', 'therapist'], 'sms', false) $$,
    'a day is 24 hours'
);
reset role;
select results_eq(
    $$
        select d.recipient_id, d.data ->> 'recipient', d.due_at, d.status, d.is_next
        from bookingdb.deliveries as d
        where d.type = 'session.reminder'
        order by 2
    $$,
    $$
        values
        (pg_temp.client(), 'client', pg_temp.at('10:00', -1), 'pending', true),
        (pg_temp.therapist(), 'therapist', pg_temp.at('10:00', -1), 'pending', true)
    $$,
    'sessions to come get their reminders at once'
);

-- Refusals
select results_eq(
    $sql$
        select e.sqlstate, e.detail ->> 'parameter'
        from pg_temp.error_of($$ select public.set_reminder_rule('soon', '30 seconds') $$) as e
    $sql$,
    $$ values ('PT400', 'p_before') $$,
    'a minute is the least'
);

select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.set_reminder_rule(null, null)') as e $$,
    $$ values ('PT403', 'Not allowed to act for this user', jsonb '{"code": "not_allowed"}') $$,
    'users have no part in it'
);
reset role;

select * from finish();
rollback;
