-- list_calendar_changes(): what a therapist's calendar must know of its sessions.
begin;
\ir include/setup.sql
select plan(5);

select pg_temp.is_declared($$
    list_calendar_changes(p_therapist_id uuid, p_from timestamptz, p_to timestamptz)
    returns table (
        session_id uuid, start_time timestamptz, end_time timestamptz, sequence integer, has_left boolean
    )
    language plpgsql stable security invoker
$$);
select pg_temp.is_executed_by('list_calendar_changes', 'authenticated', 'service_role');

-- Given
select pg_temp.book('stays', '10:00');
select pg_temp.book('leaves', '12:00');
update public.sessions set therapist_id = pg_temp.other_therapist()
where id = pg_temp.session('leaves');

-- Example
select pg_temp.act_as('authenticated', pg_temp.therapist());
select results_eq(
    $$
        select c.session_id, c.start_time, c.end_time, c.sequence, c.has_left
        from public.list_calendar_changes(pg_temp.therapist(), pg_temp.at('10:00'), pg_temp.at('18:00')) as c
    $$,
    $$
        values
        (pg_temp.session('stays'), pg_temp.at('10:00'), pg_temp.at('11:00'), 0, false),
        (pg_temp.session('leaves'), pg_temp.at('12:00'), pg_temp.at('13:00'), 1, true)
    $$,
    'the old therapist sees what stayed and what left'
);
select is_empty(
    $$
        select c.session_id
        from public.list_calendar_changes(pg_temp.therapist(), pg_temp.at('13:00'), pg_temp.at('18:00')) as c
    $$,
    'what starts before does not count'
);
reset role;

-- Refusal
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$
        select e.sqlstate, e.detail ->> 'code'
        from pg_temp.error_of(
            'select public.list_calendar_changes(pg_temp.therapist(), pg_temp.at(''00:00''), pg_temp.at(''00:00'', 7))'
        ) as e
    $$,
    $$ values ('PT403', 'not_allowed') $$,
    'a client may not ask'
);

select * from finish();
rollback;
