create or replace function bookingdb.remove_expired_holds(p_people uuid[], p_times tstzmultirange)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_hold_ids constant uuid[] := bookingdb.holds_within(p_people, p_times);
begin
    if v_hold_ids = '{}' then
        return;
    end if;

    -- The live ones, too: one that expires during the call would be locked out of order. Those who want to book or
    -- replace it need a lock that the caller has.
    perform bookingdb.lock_held_times(v_hold_ids);
    perform bookingdb.remove_held_times(array(
        select c.id
        from bookingdb.calendar as c
        where c.id = any (v_hold_ids) and c.expires_at <= clock_timestamp()
    ));
end;
$function$;

comment on function bookingdb.remove_expired_holds(uuid[], tstzmultirange) is
'Removes the calendar rows of expired holds of these people, in either part, that overlap these times. A call does so first for all of its times. Caller holds: the locks of the people.';
