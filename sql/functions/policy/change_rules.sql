create or replace function bookingdb.change_rules(p_people uuid[], p_wait boolean)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_lock_timeout text;
begin
    -- A booking locks its people before it marks them. A writer who only marked them, and books later, would deadlock
    -- with it. This statement has locked its row, and functions lock the person before the row: give up with busy
    -- before Postgres looks for a deadlock and ends that call.
    v_lock_timeout := bookingdb.limit_short_wait();
    perform bookingdb.lock_people(p_people, p_wait);
    perform set_config('lock_timeout', v_lock_timeout, true);
    perform bookingdb.mark_rules_changed(p_people);
end;
$function$;

comment on function bookingdb.change_rules(uuid[], boolean) is
'Locks and marks these therapists for a writer of what decides about their bookings, who has locked rows already.';
