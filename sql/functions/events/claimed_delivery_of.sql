create or replace function bookingdb.claimed_delivery_of(p_delivery bookingdb.deliveries)
returns bookingdb.claimed_delivery
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_destination bookingdb.destinations;
    v_body jsonb;
    v_context jsonb;
begin
    select d.* into v_destination from bookingdb.destinations as d where d.id = p_delivery.destination_id;
    v_body := jsonb_build_object(
        'type', p_delivery.type,
        'version', 1,
        'timestamp', bookingdb.iso_utc(p_delivery.occurred_at),
        'data', p_delivery.data
    );
    if v_destination.kind in ('mail', 'daily') or v_destination.settings ->> 'with_context' = 'true' then
        v_context := bookingdb.context_of_delivery(p_delivery);
        if v_destination.settings ->> 'with_context' = 'true' then
            v_body := v_body || jsonb_build_object('context', v_context);
        end if;
    end if;
    return row(
        p_delivery.id, p_delivery.token, p_delivery.attempts, v_destination.name, v_destination.kind,
        v_destination.settings, v_destination.secrets, v_destination.state, p_delivery.type, p_delivery.subject_id,
        nullif(p_delivery.recipient_id, '00000000-0000-0000-0000-000000000000'), v_body, v_context, p_delivery.due_at
    )::bookingdb.claimed_delivery;
end;
$function$;

comment on function bookingdb.claimed_delivery_of(bookingdb.deliveries) is
'Returns a claimed delivery as its worker gets it: with settings and secrets of the destination, body and context.';
