-- join_session(): whether somebody may enter the video room of a session now.
begin;
\ir include/setup.sql
select plan(4);

select pg_temp.is_declared($$
    join_session(p_session_id uuid)
    returns table (
        may_join boolean, reason text, video_url text, video_status text, opens_at timestamptz, closes_at timestamptz,
        part text, room_name text
    )
    language plpgsql stable security invoker
$$);
select pg_temp.is_executed_by('join_session', 'authenticated', 'service_role');

-- Given
select pg_temp.book('booked', '10:00');
select public.set_session_video(pg_temp.session('booked'), 'https://practice.daily.co/room', 'ready');

-- Example
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$ select j.may_join, j.reason, j.video_url, j.part from public.join_session(pg_temp.session('booked')) as j $$,
    $$ values (false, 'too_early', null::text, 'client') $$,
    'the client is told that it is too early, and no address'
);
reset role;

-- Refusal
select pg_temp.act_as('authenticated', pg_temp.other_client());
select results_eq(
    $$
        select e.sqlstate, e.message, e.detail ->> 'code'
        from pg_temp.error_of(format('select public.join_session(%L)', pg_temp.session('booked'))) as e
    $$,
    $$ values ('PT403', 'Not allowed to act for this user', 'not_allowed') $$,
    'nobody else is told anything'
);
reset role;

select * from finish();
rollback;
