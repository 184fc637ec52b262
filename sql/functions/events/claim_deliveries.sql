-- Public.
create or replace function bookingdb.claim_deliveries(
    p_limit integer default 10,
    p_lease interval default '00:01:00',
    p_destinations text[] default null,
    p_kinds text[] default null,
    p_delivery_id uuid default null
)
returns setof bookingdb.claimed_delivery
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_ids uuid[];
    v_delivery bookingdb.deliveries;
    v_claimed bookingdb.claimed_delivery;
    v_count integer := 0;
    v_is_due boolean;
begin
    perform bookingdb.authorise_worker();
    perform bookingdb.require_limit(p_limit);
    if (p_lease between interval '1 second' and interval '1 hour') is not true then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_lease', 'minimum', '1 second', 'maximum', '1 hour'
        ));
    end if;

    -- Some of what was found is not sent, and others may take some first: look again for the rest.
    while v_count < p_limit loop
        v_ids := array(
            select c.id
            from bookingdb.claimable_deliveries(p_limit - v_count, p_destinations, p_kinds, p_delivery_id) as c (id)
        );
        exit when v_ids = '{}';
        for v_delivery in
            update bookingdb.deliveries as d
            set token = gen_random_uuid(),
                claimed_at = clock_timestamp(),
                due_at = clock_timestamp() + p_lease,
                attempts = d.attempts + 1
            where d.id = any (v_ids)
            returning d.*
        loop
            -- Its last worker never came back.
            if v_delivery.attempts > bookingdb.most_attempts()
                and not (v_delivery.type = 'calendar.fetch' and v_delivery.event_id is null) then
                perform bookingdb.end_delivery(v_delivery, 'dead', null, coalesce(v_delivery.detail, 'no answer'));
                continue;
            end if;
            begin
                v_is_due := true;
                if v_delivery.type = 'session.reminder' then
                    v_is_due := bookingdb.reminder_is_due(v_delivery);
                end if;
                -- NULL: it waits, and was given back.
                if not v_is_due then
                    perform bookingdb.end_delivery(v_delivery, 'dropped', null, 'not due any more');
                elsif v_is_due then
                    v_claimed := bookingdb.claimed_delivery_of(v_delivery);
                    -- Postgres takes what readers of JSON do not: a worker that cannot read one loses the others, too.
                    if jsonb_path_exists(v_claimed.body, '$.**{100}')
                        or v_claimed.body::text ~ '[0-9]{255}'
                        or octet_length(v_claimed.body::text) > 1000000 then
                        v_is_due := false;
                        perform bookingdb.end_delivery(
                            v_delivery, 'dead', null, 'too deep, too long, or with too large a number'
                        );
                    end if;
                end if;
            exception
                -- One that cannot be put together, whatever an application wrote, holds up no other.
                when others then
                    v_is_due := false;
                    perform bookingdb.end_delivery(v_delivery, 'dead', null, sqlstate || ': ' || sqlerrm);
            end;
            if v_is_due then
                return next v_claimed;
                v_count := v_count + 1;
            end if;
        end loop;
    end loop;
end;
$function$;

comment on function bookingdb.claim_deliveries(integer, interval, text[], text[], uuid) is
'Takes up to p_limit deliveries (1 to 1000) that are due, of the destinations and kinds that are named (NULL: all), or p_delivery_id alone, and returns them with settings, secrets and body. It takes the oldest unfinished alone of each destination, subject and recipient. They are the caller''s for p_lease (1 second to 1 hour); then somebody else may take them. Call it in a transaction of its own, send after the commit, and call finish_delivery() with id and token. For trusted callers that are workers. Raises: invalid_parameter.';
