-- explain_session(): the story of a session.
begin;
\ir include/setup.sql
select plan(6);

select pg_temp.is_declared($$
    explain_session(p_session_id uuid)
    returns table (
        at timestamptz, source text, what text, actor text, actor_name text, actor_email text, details jsonb
    )
    language plpgsql stable security invoker
$$);
select pg_temp.is_executed_by('explain_session', 'authenticated', 'service_role');

-- Given
select pg_temp.act_as('authenticated', pg_temp.client());
select pg_temp.book('booked', '10:00');
reset role;

-- Example
select pg_temp.act_as('service_role');
select results_eq(
    $$
        select s.source, s.what, s.actor_name, s.actor_email
        from public.explain_session(pg_temp.session('booked')) as s
        where s.source <> 'event'
    $$,
    $$ values ('ledger', 'debit', 'A', 'a@client.test'), ('audit', 'created', 'A', 'a@client.test') $$,
    'it says what happened, and who did it'
);
select results_eq(
    $$
        select s.details ->> 'payment_reference'
        from public.explain_session(pg_temp.session('booked')) as s
        where s.source = 'ledger'
    $$,
    array['a payment'],
    'it says which payment the session was paid from'
);
select results_eq(
    $$
        select e.*
        from pg_temp.error_of('select public.explain_session(pg_temp.nobody())') as e
    $$,
    $$
        values (
            'PT404', 'Session not found',
            jsonb_build_object('code', 'session_not_found', 'session_id', pg_temp.nobody())
        )
    $$,
    'of a session that never was there is nothing to tell'
);
reset role;
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.explain_session(pg_temp.session(''booked''))') as e $$,
    $$ values ('PT403', 'Not allowed to act for this user', jsonb '{"code": "not_allowed"}') $$,
    'it is for trusted callers'
);
reset role;

select * from finish();
rollback;
