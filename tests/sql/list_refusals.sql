-- list_refusals(): what a user was refused.
begin;
\ir include/setup.sql
select plan(7);

select pg_temp.is_declared($$
    list_refusals(
        p_user_id uuid, p_from timestamptz default null, p_to timestamptz default null, p_limit integer default 100
    )
    returns table (
        id bigint, refused_at timestamptz, user_id uuid, therapist_id uuid, session_id uuid, function_name text,
        code text, rule text, context jsonb, actor text, is_claim boolean
    )
    language plpgsql stable security invoker
$$);
select pg_temp.is_executed_by('list_refusals', 'authenticated', 'service_role');

-- Given
select p.record_refusals from public.set_policy('{"record_refusals": true}') as p;
select public.record_refusal('refund_session', 'invalid_transition', pg_temp.client());
select pg_temp.act_as('authenticated', pg_temp.client());
select public.record_refusal('hold_slot', 'too_soon');
select public.record_refusal('hold_slot', 'too_far');
reset role;

-- Example
select results_eq(
    'select r.code, r.is_claim from public.list_refusals(pg_temp.client()) as r',
    $$ values ('too_far', true), ('too_soon', true), ('invalid_transition', false) $$,
    'trusted callers see all, newest first'
);
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    'select r.code from public.list_refusals(pg_temp.client()) as r', array['too_far', 'too_soon'],
    'users see what they were refused themselves'
);
select is_empty(
    $$ select r.code from public.list_refusals(pg_temp.client(), now() + interval '1 day') as r $$,
    'from a timestamp on'
);

-- Refusals
select results_eq(
    $$
        select e.sqlstate, e.detail ->> 'parameter'
        from pg_temp.error_of('select public.list_refusals(pg_temp.client(), p_limit => 0)') as e
    $$,
    $$ values ('PT400', 'p_limit') $$,
    'a page has something'
);
select results_eq(
    $$ select e.sqlstate from pg_temp.error_of('select public.list_refusals(pg_temp.other_client())') as e $$,
    array['PT403'],
    'users see nothing of others'
);
reset role;

select * from finish();
rollback;
