create or replace function bookingdb.end_delivery(
    p_delivery bookingdb.deliveries,
    p_status text,
    p_status_code integer,
    p_detail text
)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    update bookingdb.deliveries as d
    set status = p_status,
        is_next = false,
        token = null,
        finished_at = clock_timestamp(),
        status_code = p_status_code,
        detail = left(p_detail, 500)
    where d.id = p_delivery.id;
    -- Its successor's turn.
    update bookingdb.deliveries as d
    set is_next = true
    where d.id = (
        select n.id
        from bookingdb.deliveries as n
        where n.subject_id = p_delivery.subject_id
            and n.destination_id = p_delivery.destination_id
            and n.recipient_id = p_delivery.recipient_id
            and n.status = 'pending'
        order by n.event_id, n.part
        limit 1
    );
end;
$function$;

comment on function bookingdb.end_delivery(bookingdb.deliveries, text, integer, text) is
'Finishes a delivery as delivered, dead or dropped, and lets the next of its line through. Caller holds: its row.';
