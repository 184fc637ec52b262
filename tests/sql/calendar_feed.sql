-- calendar_feed(): what a secret address shows.
begin;
\ir include/setup.sql
select plan(6);

select pg_temp.is_declared($$
    calendar_feed(p_secret text)
    returns table (
        session_id uuid, part text, title text, session_type text, status text, start_time timestamptz,
        end_time timestamptz, with_name text, sequence integer, created_at timestamptz, time_zone text
    )
    language plpgsql stable security invoker
$$);
select pg_temp.is_executed_by('calendar_feed', 'authenticated', 'service_role');

-- Given
select pg_temp.book('booked', '10:00');
create temporary table feed as
select
    public.create_calendar_feed(pg_temp.client()) as clients,
    public.create_calendar_feed(pg_temp.therapist()) as therapists,
    public.create_calendar_feed(pg_temp.other_client()) as others;
grant select on feed to service_role, authenticated;

-- Example
select pg_temp.act_as('service_role');
select results_eq(
    $$
        select e.part, e.title, e.status, e.start_time, e.with_name
        from feed as f
        cross join unnest(array[f.clients, f.therapists, f.others]) as s (secret)
        cross join lateral public.calendar_feed(s.secret) as e
        order by e.part
    $$,
    $$
        values
        ('client', 'booked', 'scheduled', pg_temp.at('10:00'), 'A'),
        ('therapist', 'booked', 'scheduled', pg_temp.at('10:00'), 'A')
    $$,
    'both people of a session follow it, and nobody else'
);

-- Refusals
select results_eq(
    $$ select e.* from pg_temp.error_of('select * from public.calendar_feed(null)') as e $$,
    $$ values ('PT404', 'Calendar feed not found', jsonb '{"code": "feed_not_found"}') $$,
    'no secret'
);
select results_eq(
    $$ select e.* from pg_temp.error_of('select * from public.calendar_feed(repeat(''0'', 69))') as e $$,
    $$ values ('PT404', 'Calendar feed not found', jsonb '{"code": "feed_not_found"}') $$,
    'a wrong one'
);
reset role;
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$ select e.sqlstate from pg_temp.error_of('select public.calendar_feed((select clients from feed))') as e $$,
    array['PT403'],
    'users have no part in it'
);
reset role;

select * from finish();
rollback;
