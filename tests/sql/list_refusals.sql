-- list_refusals(): what a user was refused.
begin;
\ir include/setup.sql
select plan(6);

select pg_temp.is_declared($$
    list_refusals(
        p_user_id uuid, p_from timestamptz default null, p_to timestamptz default null, p_limit integer default 100
    )
    returns table (
        id bigint, refused_at timestamptz, user_id uuid, therapist_id uuid, session_id uuid, function_name text,
        code text, rule text, context jsonb, actor text
    )
    language plpgsql stable security invoker
$$);
select pg_temp.is_executed_by('list_refusals', 'authenticated', 'service_role');

-- Given
select p.record_refusals from public.set_policy('{"record_refusals": true}') as p;
select public.record_refusal('hold_slot', 'too_soon', pg_temp.client());
select public.record_refusal('hold_slot', 'too_far', pg_temp.client());

-- Example
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    'select r.code from public.list_refusals(pg_temp.client()) as r', array['too_far', 'too_soon'], 'newest first'
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
    'users see their own'
);
reset role;

select * from finish();
rollback;
