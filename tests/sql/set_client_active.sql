-- set_client_active(): let a client book, or not any more.
begin;
\ir include/setup.sql
select plan(8);

select pg_temp.is_declared($$
    set_client_active(p_user_id uuid, p_active boolean) returns void
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('set_client_active', 'authenticated', 'service_role');

-- Given
select pg_temp.book('booked', '10:00');

-- Example
select pg_temp.act_as('service_role');
select lives_ok('select public.set_client_active(pg_temp.client(), false)', 'a trusted caller closes a client');
reset role;
select throws_ok(
    $$ select pg_temp.book('another', '14:00') $$, 'PT404', 'User not found', 'who cannot book any more'
);
select results_eq(
    'select s.status::text, c.kind from public.sessions as s inner join bookingdb.calendar as c on s.id = c.id',
    $$ values ('scheduled', 'session') $$,
    'what was booked stays booked'
);
select lives_ok('select public.set_client_active(pg_temp.client(), true)', 'and opens the client again');
select lives_ok($$ select pg_temp.book('another', '14:00') $$, 'who can book then');

-- Refusal
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.set_client_active(pg_temp.therapist(), false)') as e $$,
    $$
        values (
            'PT404', 'User not found', jsonb_build_object('code', 'user_not_found', 'user_id', pg_temp.therapist())
        )
    $$,
    'a therapist is no client'
);

select * from finish();
rollback;
