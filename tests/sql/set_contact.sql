-- set_contact(): change how a person wants to be reached.
begin;
\ir include/setup.sql
select plan(6);

select pg_temp.is_declared($$
    set_contact(p_user_id uuid, p_changes jsonb)
    returns table (
        user_id uuid, email text, phone text, time_zone text, language text, quiet_from time, quiet_until time,
        consents jsonb
    )
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('set_contact', 'authenticated', 'service_role');

-- Example
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$
        select c.email, c.phone, c.quiet_from, c.quiet_until, c.consents
        from public.set_contact(pg_temp.client(), jsonb '{
            "phone": "+49 (30) 12 34-56", "quiet_from": "22:00", "quiet_until": "07:00", "consents": {"sms": true}
        }') as c
    $$,
    $$ values ('a@client.test', '+4930123456', time '22:00', time '07:00', jsonb '{"sms": true}') $$,
    'what is given changes'
);
reset role;
select is(
    pg_temp.events(pg_temp.client()) && array['contact.changed'], true, 'an event tells that reminders have to follow'
);

-- Refusals
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $sql$
        select e.sqlstate, e.detail ->> 'parameter'
        from pg_temp.error_of($$ select public.set_contact(pg_temp.client(), '{"quiet_from": null}') $$) as e
    $sql$,
    $$ values ('PT400', 'quiet_from') $$,
    'quiet hours have both ends'
);

select results_eq(
    $$
        select e.sqlstate
        from pg_temp.error_of('select public.set_contact(pg_temp.other_client(), jsonb_build_object())') as e
    $$,
    array['PT403'],
    'nobody else''s'
);
reset role;

select * from finish();
rollback;
