-- rotate_secret(): sign with a new secret, too.
begin;
\ir include/setup.sql
select plan(6);

select pg_temp.is_declared($$
    rotate_secret(p_name text, p_secret text)
    returns void
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('rotate_secret', 'authenticated', 'service_role');

-- Given
create temporary table made as
select d.name from public.set_destination(
    'crm', 'webhook', '{hold.placed,credits.granted}', '{"url": "https://crm.example/hook"}',
    '{"signing": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}'
) as d;
select public.grant_credits(pg_temp.client(), 3);

-- Example
select pg_temp.act_as('service_role');
select public.rotate_secret('crm', 'whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX');
reset role;
select is(
    (select d.secrets -> 'signing' from bookingdb.destinations as d),
    '["whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]',
    'both are used'
);
select public.rotate_secret('crm', null);
select is(
    (select d.secrets -> 'signing' from bookingdb.destinations as d),
    '["whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"]',
    'then the new one alone'
);

-- Refusal
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.rotate_secret(''crm'', ''secret'')') as e $$,
    $$ values ('PT400', 'Invalid parameter', jsonb '{
        "code": "invalid_parameter", "parameter": "p_secret", "format": "whsec_ and 24 to 64 bytes in base64"
    }') $$,
    'a secret has a form'
);
-- Refusal
select pg_temp.act_as('authenticated', pg_temp.client());
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.rotate_secret(''crm'', null)') as e $$,
    $$ values ('PT403', 'Not allowed to act for this user', jsonb '{"code": "not_allowed"}') $$,
    'users have no part in it'
);
reset role;

select * from finish();
rollback;
