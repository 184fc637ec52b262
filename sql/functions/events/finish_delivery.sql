-- Public.
create or replace function bookingdb.finish_delivery(
    p_delivery_id uuid,
    p_token uuid,
    p_outcome text,
    p_status_code integer default null,
    p_detail text default null,
    p_retry_after interval default null,
    p_state jsonb default null
)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    c_outcomes constant text[] := '{delivered,retry,dead,dropped,released,gone}';
    v_delivery bookingdb.deliveries;
    v_destination bookingdb.destinations;
    v_is_fetch boolean;
begin
    perform bookingdb.authorise_worker();
    if (p_outcome = any (c_outcomes)) is not true then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_outcome', 'allowed', c_outcomes
        ));
    end if;
    if p_retry_after not between interval '0' and interval '168 hours' then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_retry_after', 'minimum', '0', 'maximum', '168 hours'
        ));
    end if;
    if p_state is not null and (jsonb_typeof(p_state) <> 'object' or length(p_state::text) > 10000) then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_state', 'reason', 'no_object', 'maximum_length', 10000
        ));
    end if;

    select d.*
    into v_delivery
    from bookingdb.deliveries as d
    where d.id = p_delivery_id and d.token = p_token and d.status = 'pending'
    for no key update;
    if not found then
        return false;
    end if;
    select d.* into v_destination from bookingdb.destinations as d where d.id = v_delivery.destination_id;
    -- An application's own event may have any name.
    v_is_fetch := v_delivery.type = 'calendar.fetch' and v_delivery.event_id is null;

    if p_outcome in ('delivered', 'dead', 'dropped', 'gone')
        and not (v_is_fetch and p_outcome in ('delivered', 'dropped')) then
        perform bookingdb.end_delivery(
            v_delivery, case when p_outcome = 'gone' then 'dead' else p_outcome end, p_status_code, p_detail
        );
    elsif p_outcome = 'retry' and v_delivery.attempts >= bookingdb.most_attempts()
        and not v_is_fetch then
        perform bookingdb.end_delivery(v_delivery, 'dead', p_status_code, p_detail);
    else
        update bookingdb.deliveries as d
        set token = null,
            attempts = case p_outcome when 'released' then d.attempts - 1 when 'retry' then d.attempts else 0 end,
            due_at = clock_timestamp() + case p_outcome
                when 'released' then interval '0'
                when 'retry' then coalesce(p_retry_after, bookingdb.backoff(d.attempts))
                -- A calendar is fetched again and again.
                else make_interval(mins => coalesce((v_destination.settings ->> 'every_minutes')::integer, 15))
            end,
            status_code = p_status_code,
            detail = left(p_detail, 500)
        where d.id = p_delivery_id;
    end if;

    if p_outcome = 'gone' then
        update bookingdb.destinations as d
        set is_enabled = false, disabled_reason = 'gone', updated_at = clock_timestamp()
        where d.id = v_delivery.destination_id;
    end if;
    if p_state is not null then
        update bookingdb.destinations as d
        set state = p_state
        where d.id = v_delivery.destination_id;
    end if;
    return true;
end;
$function$;

comment on function bookingdb.finish_delivery(uuid, uuid, text, integer, text, interval, jsonb) is
'Says what became of a delivery that was claimed with p_token: delivered; retry (later: after p_retry_after, else after 5 s, 5 and 30 min, 2, 5, 10, 14, 20 and 24 h, a tenth more or less, and after ten attempts dead); dead; dropped (nobody wants it any more); released (given back, and not counted as an attempt); gone (dead, and the destination is disabled). p_status_code and p_detail (500 characters are kept) go on record; p_state is kept for the sender''s next time. Returns false where the claim is somebody else''s by now: nothing was written. For trusted callers that are workers. Raises: invalid_parameter.';
