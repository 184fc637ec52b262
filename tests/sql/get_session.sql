-- get_session(): a session, with the names of both people and what may be done next.
begin;
\ir include/setup.sql
select plan(4);

select pg_temp.is_declared($$
    get_session(p_session_id uuid)
    returns table (
        id uuid, user_id uuid, therapist_id uuid, title varchar, description text, scheduled_date date,
        scheduled_time time, start_time timestamptz, end_time timestamptz, duration_minutes integer,
        session_type varchar, status varchar, created_at timestamptz, time_zone text,
        free_cancellation_until timestamptz, series_id uuid, client_name text, therapist_name text,
        next_actions text[], cursor text
    )
    language plpgsql stable security invoker
$$);
select pg_temp.is_executed_by('get_session', 'authenticated', 'service_role');

-- Given
select pg_temp.book('booked', '10:00');

-- Example
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$
        select s.title, s.start_time, s.client_name, s.therapist_name, s.next_actions
        from public.get_session(pg_temp.session('booked')) as s
    $$,
    $$
        values (
            'booked'::varchar, pg_temp.at('10:00'), 'A', 'A', array['cancel_session', 'reschedule_session']
        )
    $$,
    'the client sees their session, and that they may cancel or move it'
);
reset role;

-- Refusal
select pg_temp.act_as('authenticated', pg_temp.other_client());
select results_eq(
    $$
        select e.sqlstate, e.message, e.detail ->> 'code'
        from pg_temp.error_of(format('select public.get_session(%L)', pg_temp.session('booked'))) as e
    $$,
    $$ values ('PT403', 'Not allowed to act for this user', 'not_allowed') $$,
    'nobody else does'
);
reset role;

select * from finish();
rollback;
