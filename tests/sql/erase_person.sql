-- erase_person(): take a person's name, addresses and words from every table.
begin;
\ir include/setup.sql
select plan(8);

select pg_temp.is_declared($$
    erase_person(p_user_id uuid, p_keep text[] default '{}')
    returns table (person_id uuid, kept text[], erased_at timestamptz, left_over text[])
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('erase_person', 'authenticated', 'service_role');

-- Given
select pg_temp.book('a word', '10:00');

-- Refusal
select pg_temp.act_as('service_role');
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.erase_person(pg_temp.client())') as e $$,
    $$
        values (
            'PT409', 'Person still has sessions to come',
            jsonb_build_object(
                'code', 'person_in_use', 'user_id', pg_temp.client(), 'session_id', pg_temp.session('a word')
            )
        )
    $$,
    'somebody with a session to come is in use'
);
select public.cancel_session(pg_temp.session('a word'), 'another word');

-- Example
select results_eq(
    $$ select e.person_id, e.kept, e.left_over from public.erase_person(pg_temp.client(), '{payments}') as e $$,
    $$ values (pg_temp.client(), '{payments}'::text[], '{}'::text[]) $$,
    'a trusted caller erases'
);
reset role;
select results_eq(
    'select u.email, u.full_name, u.is_active from public.users as u where u.id = pg_temp.client()',
    $$ values (null::text, null::text, false) $$,
    'the name and the address are gone'
);
select results_eq(
    'select s.title, s.cancellation_reason from public.sessions as s',
    $$ values (null::varchar, null::text) $$,
    'and so are words of sessions'
);
select results_eq(
    'select c.payment_reference from public.user_credits as c where c.user_id = pg_temp.client()',
    array['a payment'],
    'what is kept stays'
);
select results_eq(
    'select e.person_id, e.kept, e.actor from bookingdb.erasures as e',
    $$ values (pg_temp.client(), '{payments}'::text[], 'service_role') $$,
    'the erasure is on record'
);

select * from finish();
rollback;
