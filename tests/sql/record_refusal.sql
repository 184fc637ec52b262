-- record_refusal(): the trace of a call that was refused.
begin;
\ir include/setup.sql
select plan(7);

select pg_temp.is_declared($$
    record_refusal(
        p_function_name text, p_code text, p_user_id uuid default null, p_therapist_id uuid default null,
        p_context jsonb default '{}'
    )
    returns boolean
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('record_refusal', 'authenticated', 'service_role');

-- Example
select pg_temp.act_as('authenticated', pg_temp.client());
select is(
    public.record_refusal('hold_slot', 'too_soon', null, pg_temp.therapist()), false, 'no policy asks for it by default'
);
reset role;
select p.record_refusals from public.set_policy('{"record_refusals": true}', pg_temp.therapist()) as p;
select pg_temp.act_as('authenticated', pg_temp.client());
select is(
    public.record_refusal(
        'hold_slot', 'too_soon', null, pg_temp.therapist(), '{"rule": "minimum_notice", "title": "a secret"}'
    ),
    true,
    'the policy of the therapist asks for it'
);
reset role;
select results_eq(
    $$
        select r.user_id, r.therapist_id, r.function_name, r.code, r.rule, r.context, r.actor, r.is_claim
        from bookingdb.refusals as r
    $$,
    $$
        values (
            pg_temp.client(), pg_temp.therapist(), 'hold_slot', 'too_soon', 'minimum_notice', jsonb '{}',
            pg_temp.client()::text, true
        )
    $$,
    'it keeps who was refused by which rule, and no text'
);

-- Refusals
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.record_refusal(''hold_slot'', ''a wish'')') as e $$,
    $$
        values (
            'PT400', 'Invalid parameter',
            jsonb '{"code": "invalid_parameter", "parameter": "p_code", "reason": "unknown"}'
        )
    $$,
    'an error is one of the table'
);
select results_eq(
    $$
        select e.sqlstate
        from pg_temp.error_of('select public.record_refusal(''hold_slot'', ''too_soon'', pg_temp.other_client())') as e
    $$,
    array['PT403'],
    'users record for themselves'
);
reset role;

select * from finish();
rollback;
