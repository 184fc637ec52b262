-- set_therapist_active(): open or close a therapist for booking.
begin;
\ir include/setup.sql
select plan(8);

select pg_temp.is_declared($$
    set_therapist_active(p_therapist_id uuid, p_active boolean) returns void
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('set_therapist_active', 'authenticated', 'service_role');

-- Given
select pg_temp.book('booked', '10:00');

-- Example
select pg_temp.act_as('service_role');
select lives_ok(
    'select public.set_therapist_active(pg_temp.therapist(), false)', 'a trusted caller closes a therapist'
);
reset role;
select throws_ok(
    $$ select pg_temp.book('another', '14:00') $$, 'PT404', 'Therapist not found', 'who cannot be booked any more'
);
select results_eq(
    'select s.status::text, c.kind from public.sessions as s inner join bookingdb.calendar as c on s.id = c.id',
    $$ values ('scheduled', 'session') $$,
    'what was booked stays booked'
);
select lives_ok('select public.set_therapist_active(pg_temp.therapist(), true)', 'and opens the therapist again');
select lives_ok($$ select pg_temp.book('another', '14:00') $$, 'who can be booked then');

-- Refusal
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.set_therapist_active(pg_temp.client(), false)') as e $$,
    $$
        values (
            'PT404', 'Therapist not found', jsonb_build_object(
                'code', 'therapist_not_found', 'therapist_id', pg_temp.client()
            )
        )
    $$,
    'a client is no therapist'
);

select * from finish();
rollback;
