create or replace function bookingdb.tell_of_credits(
    p_event text,
    p_user_id uuid,
    p_lot_id uuid,
    p_amount integer,
    p_session_id uuid default null
)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    perform bookingdb.write_credits_event(p_event, p_user_id, p_lot_id, p_amount, p_session_id);
end;
$function$;

comment on function bookingdb.tell_of_credits(text, uuid, uuid, integer, uuid) is
'The name of write_credits_event() in the version before, for calls that began before the upgrade. The next version drops it.';
