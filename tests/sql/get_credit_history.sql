begin;
\ir include/setup.sql
select plan(22);

select has_function(
    'public', 'get_credit_history',
    array['uuid', 'integer', 'timestamp with time zone']
);
select function_lang_is('public'::name, 'get_credit_history'::name, 'plpgsql'::name);
select function_returns('public'::name, 'get_credit_history'::name, 'setof record');
select volatility_is('public'::name, 'get_credit_history'::name, 'stable');
select isnt_definer('public'::name, 'get_credit_history'::name);

select public.register_therapist('a@therapist.test', 'A', pg_temp.therapist(), 'UTC');
select public.register_client('a@client.test', 'A', pg_temp.client());
select public.register_client('b@client.test', 'B', pg_temp.other_client());
select is_empty($$ select h.id from public.get_credit_history(pg_temp.client()) as h $$, 'a new client has no history');

select g.lot_balance from public.grant_credits(pg_temp.client(), 3) as g;
select g.lot_balance from public.grant_credits(pg_temp.other_client(), 1) as g;
select b.credits_balance
from public.create_session_with_credit_deduction(
    pg_temp.client(), pg_temp.therapist(), current_date + 30, '10:00'
) as b;
update public.user_credits as c set credits_balance = 7
where c.user_id = pg_temp.client();

select results_eq(
    $$
        select h.kind, h.amount, h.balance_after, h.session_id, h.actor
        from public.get_credit_history(pg_temp.client()) as h
    $$,
    $$
        select e.kind, e.amount, e.balance_after, e.session_id, current_user::text collate "default"
        from (
            select 'direct' as kind, 5 as amount, 7 as balance_after, null::uuid as session_id
            union all
            select 'debit', -1, 2, s.id from public.sessions as s where s.user_id = pg_temp.client()
            union all
            select 'grant', 3, 3, null
        ) as e
    $$,
    'returns the entries of this client, newest first'
);
select results_eq(
    $$
        select h.id, h.created_at, h.lot_id
        from public.get_credit_history(pg_temp.client()) as h
    $$,
    $$
        select l.id, l.created_at, l.lot_id
        from bookingdb.ledger as l where l.user_id = pg_temp.client() order by l.id desc
    $$,
    'which are those of the ledger'
);
select results_eq(
    $$ select h.kind from public.get_credit_history(pg_temp.client(), 2) as h $$,
    array['direct', 'debit'], 'not more than asked for'
);
select results_eq(
    $$
        select h.kind
        from public.get_credit_history(
            pg_temp.client(), p_before => (
                select l.created_at from bookingdb.ledger as l where l.user_id = pg_temp.client() and l.kind = 'debit'
            )
        ) as h
    $$,
    array['grant'],
    'the next page'
);

-- Entries of the same instant are never torn apart: the page after them could not tell where to begin.
insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor, created_at)
select
    l.user_id,
    gen_random_uuid() as lot_id,
    'direct' as kind,
    1 as amount,
    1 as balance_after,
    'test' as actor,
    l.created_at
from bookingdb.ledger as l
where l.user_id = pg_temp.other_client();
select results_eq(
    $$ select h.kind from public.get_credit_history(pg_temp.other_client(), 1) as h $$,
    array['direct', 'grant'],
    'a page ends at the end of an instant'
);
delete from bookingdb.ledger as l
where l.actor = 'test';

-- ---------------------------------------------------------------------------------------------------------------------
-- Refusals, and who may ask
-- ---------------------------------------------------------------------------------------------------------------------

select throws_ok('select * from public.get_credit_history(null)', 'PT400', 'Invalid user ID format', 'no user');
select throws_ok(
    $$ select * from public.get_credit_history(pg_temp.stranger()) $$,
    'PT404', 'User not found', 'a user that nobody knows'
);
select
    throws_ok(
        format($$ select * from public.get_credit_history(pg_temp.client(), %s) $$, l.number),
        'PT400', 'Invalid parameter', format('a page of %s', l.number)
    )
from (values ('null'), ('0'), ('-1'), ('1001')) as l (number);

set local role authenticated;
select throws_ok(
    $$ select * from public.get_credit_history(pg_temp.client()) $$, 'PT401', 'Not authenticated', 'nobody asks'
);
select pg_temp.claim(pg_temp.other_client());
select results_eq(
    $$ select h.kind from public.get_credit_history(pg_temp.other_client()) as h $$, array['grant'], 'a user for itself'
);
select throws_ok(
    $$ select * from public.get_credit_history(pg_temp.client()) $$,
    'PT403', 'Not allowed to act for this user', 'a user for another user'
);
set local role anon;
select throws_ok(
    $$ select * from public.get_credit_history(pg_temp.client()) $$,
    '42501', null, 'nobody without a login'
);
reset role;

select is_empty('select v.* from bookingdb.check_invariants() as v', 'the invariants hold');

select * from finish();
rollback;
