-- Public.
create or replace function bookingdb.set_package(
    p_name text,
    p_credits integer,
    p_validity interval default null,
    p_price_reference text default null,
    p_rollover_cap integer default null,
    p_category text default 'paid',
    p_priority integer default 50,
    p_active boolean default true,
    p_package_id uuid default null
)
returns bookingdb.package
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_name constant text := btrim(p_name, e' \t\r\n');
    v_id uuid;
    v_constraint text;
    v_lock_timeout text;
begin
    perform bookingdb.authorise_trusted();

    perform bookingdb.require_length('p_name', coalesce(v_name, ''), 1, 200);
    perform bookingdb.require_length('p_price_reference', p_price_reference, 1, 255);
    perform bookingdb.require_package_terms(p_credits, p_validity, p_rollover_cap, p_active);
    perform bookingdb.require_category_and_priority(p_category, p_priority);

    begin
        v_lock_timeout := bookingdb.limit_wait();
        -- One at a time: two that create the same package would meet at its price first, which is another's then.
        lock table bookingdb.packages in share row exclusive mode;
        if p_package_id is null then
            insert into bookingdb.packages as p (
                name, credits, validity, price_reference, rollover_cap, category, priority, is_active
            )
            values (
                v_name, p_credits, p_validity, p_price_reference, p_rollover_cap, p_category, p_priority, p_active
            )
            on conflict (lower(name)) do update
            set name = excluded.name,
                credits = excluded.credits,
                validity = excluded.validity,
                price_reference = excluded.price_reference,
                rollover_cap = excluded.rollover_cap,
                category = excluded.category,
                priority = excluded.priority,
                is_active = excluded.is_active,
                updated_at = clock_timestamp()
            returning p.id into v_id;
        else
            update bookingdb.packages as p
            set name = v_name,
                credits = p_credits,
                validity = p_validity,
                price_reference = p_price_reference,
                rollover_cap = p_rollover_cap,
                category = p_category,
                priority = p_priority,
                is_active = p_active,
                updated_at = clock_timestamp()
            where p.id = p_package_id
            returning p.id into v_id;
        end if;
        perform set_config('lock_timeout', v_lock_timeout, true);
    exception
        when unique_violation then
            get stacked diagnostics v_constraint = constraint_name;
            perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
                'parameter',
                case v_constraint when 'packages_name_key' then 'p_name' else 'p_price_reference' end,
                'reason', 'of_another'
            ));
        when lock_not_available then
            perform bookingdb.raise_error('busy');
    end;
    if v_id is null then
        perform bookingdb.raise_error('package_not_found', jsonb_build_object('package_id', p_package_id));
    end if;
    return (
        select p
        from bookingdb.packages_sold(true) as p
        where p.id = v_id
    );
end;
$function$;

comment on function bookingdb.set_package(
    text, integer, interval, text, integer, text, integer, boolean, uuid
) is
'Creates the package p_name (1 to 200 characters; upper and lower case are the same), or changes all of it: p_credits (1 to 10000), how long they can be spent (p_validity, whole days, months or years; NULL: without end), the price at the payment provider, what a renewal keeps of the client''s earlier lots of this package (p_rollover_cap, 0 to 10000; NULL: it touches none), the category and priority of its lots, and whether it is sold. With p_package_id it changes that package, its name too. Lots that were granted stay as they are. For trusted callers. Raises: invalid_parameter, busy, package_not_found.';
