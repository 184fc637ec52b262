begin;
\ir include/setup.sql
select plan(16);

select has_function(
    'public', 'get_credit_balance',
    array['uuid']
);
select function_lang_is('public'::name, 'get_credit_balance'::name, 'plpgsql'::name);
select function_returns('public'::name, 'get_credit_balance'::name, 'integer');
select volatility_is('public'::name, 'get_credit_balance'::name, 'stable');
select isnt_definer('public'::name, 'get_credit_balance'::name);

select public.register_client('a@client.test', 'A', pg_temp.client());
select public.register_client('b@client.test', 'B', pg_temp.other_client());
select is(public.get_credit_balance(pg_temp.client()), 0, 'a new client has no credits');

-- The same person's lots: two that count, and one of every sort that does not.
select g.lot_balance from public.grant_credits(pg_temp.client(), 3) as g;
select g.lot_balance from public.grant_credits(pg_temp.client(), 4, p_expires_at => now() + interval '1 day') as g;
insert into public.user_credits (user_id, user_type, credits_balance, expires_at, status)
values
(pg_temp.client(), 'user', 10, now() - interval '1 second', 'active'),
(pg_temp.client(), 'user', 20, null, 'expired'),
(pg_temp.client(), 'user', 40, null, 'refunded'),
(pg_temp.client(), 'user', 80, null, 'revoked'),
(pg_temp.client(), 'therapist', 160, null, 'active');
select is(public.get_credit_balance(pg_temp.client()), 7, 'only active lots of type user that have not expired count');
select is(public.get_credit_balance(pg_temp.other_client()), 0, 'and only one''s own');

update public.users as u set is_active = false
where u.id = pg_temp.client();
select is(public.get_credit_balance(pg_temp.client()), 7, 'a deactivated client keeps its credits');

select throws_ok('select public.get_credit_balance(null)', 'PT400', 'Invalid user ID format', 'no user');
select throws_ok(
    $$ select public.get_credit_balance(pg_temp.stranger()) $$, 'PT404', 'User not found', 'a user that nobody knows'
);

set local role authenticated;
select throws_ok(
    $$ select public.get_credit_balance(pg_temp.other_client()) $$, 'PT401', 'Not authenticated', 'nobody asks'
);
select pg_temp.claim(pg_temp.client());
select is(public.get_credit_balance(pg_temp.client()), 7, 'a user for itself');
select throws_ok(
    $$ select public.get_credit_balance(pg_temp.other_client()) $$,
    'PT403', 'Not allowed to act for this user', 'a user for another user'
);
set local role anon;
select throws_ok($$ select public.get_credit_balance(pg_temp.client()) $$, '42501', null, 'nobody without a login');
reset role;

select is_empty('select v.* from bookingdb.check_invariants() as v', 'the invariants hold');

select * from finish();
rollback;
