-- Public.
create or replace function bookingdb.grant_package(
    p_user_id uuid,
    p_package_id uuid default null,
    p_price_reference text default null,
    p_payment_reference text default null,
    p_idempotency_key text default null
)
returns bookingdb.granted_credits
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_package bookingdb.packages;
    v_today date;
    v_grant bookingdb.granted_credits;
begin
    perform bookingdb.authorise_trusted();

    if p_user_id is null then
        perform bookingdb.raise_error('invalid_user_id');
    end if;
    -- Exactly one of the two names the package.
    if num_nonnulls(p_package_id, p_price_reference) <> 1 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_package_id',
            'reason', case when p_package_id is null then 'missing' else 'given_twice' end
        ));
    end if;
    perform bookingdb.require_length('p_price_reference', p_price_reference, 1, 255);
    perform bookingdb.require_length('p_payment_reference', p_payment_reference, 1, 255);
    perform bookingdb.require_idempotency_key(p_idempotency_key);

    select p.*
    into v_package
    from bookingdb.packages as p
    where p.id = p_package_id or p.price_reference = p_price_reference;
    v_today := (clock_timestamp() at time zone bookingdb.time_zone_of(null))::date;

    v_grant := bookingdb.grant_lot(
        'grant_package',
        p_user_id,
        -- A package that is not sold any more answers retries alone.
        case when v_package.is_active then v_package.credits end,
        p_payment_reference,
        bookingdb.end_of_date('p_package_id', (v_today + v_package.validity)::date),
        p_idempotency_key,
        jsonb_build_array(p_package_id, p_price_reference, p_payment_reference),
        v_package.category,
        v_package.priority,
        coalesce(v_package.id, p_package_id),
        'p_package_id'
    );
    -- A price may be another package's by now: then the payment says which one was meant.
    if p_package_id is not null and not v_grant.is_new and exists (
        select from public.user_credits as c
        where c.id = v_grant.lot_id and c.package_id is distinct from p_package_id
    ) then
        perform bookingdb.raise_error('idempotency_key_reused', jsonb_build_object(
            'parameter', 'p_payment_reference'
        ));
    end if;
    return v_grant;
end;
$function$;

comment on function bookingdb.grant_package(uuid, uuid, text, text, text) is
'Grants a client the package p_package_id, or the one with the price p_price_reference: as many credits as it says now, which can be spent until its validity is over, counted from today, in the default policy''s zone. A package with a rollover cap renews: of the client''s earlier lots of it, the cap''s number of credits stays, with the new lot''s expiry, and the rest expires. The same payment reference, or the same idempotency key, never grants twice: it returns the same lot, also when the package was changed since. For trusted callers. Raises: invalid_user_id, invalid_parameter, idempotency_key_reused.';
