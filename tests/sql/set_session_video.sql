-- set_session_video(): where a session's video room is.
begin;
\ir include/setup.sql
select plan(6);

select pg_temp.is_declared($$
    set_session_video(p_session_id uuid, p_url text, p_status text)
    returns void
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('set_session_video', 'authenticated', 'service_role');

-- Given
select pg_temp.book('booked', '10:00');
create temporary table audited as
select a.id from public.booking_audit_log as a;

-- Example
select public.set_session_video(pg_temp.session('booked'), 'https://practice.daily.co/room', 'ready');
select results_eq(
    $$ select s.video_url, s.video_status, s.revision from public.sessions as s where s.title = 'booked' $$,
    $$ values ('https://practice.daily.co/room', 'ready', 0) $$,
    'the address is written, and the revision stays'
);
select is(pg_temp.events(pg_temp.session('booked')), array['session.created'], 'no event tells of it');
select is_empty(
    'select a.id from public.booking_audit_log as a except select t.id from audited as t', 'it is no change on record'
);

-- Refusal
select results_eq(
    $$
        select e.sqlstate, e.detail ->> 'code', e.detail ->> 'parameter'
        from pg_temp.error_of(
            format('select public.set_session_video(%L, %L, null)', pg_temp.session('booked'), 'http://a.test/')
        ) as e
    $$,
    $$ values ('PT400', 'invalid_parameter', 'p_url') $$,
    'an address without encryption is refused'
);

select * from finish();
rollback;
