create or replace function bookingdb.lock_held_times(p_hold_ids uuid[])
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_lock_timeout text;
begin
    -- Somebody who shares only one of a hold's people may remove it at the same time, so all lock in one order.
    v_lock_timeout := bookingdb.limit_wait();
    perform c.id
    from bookingdb.calendar as c
    where c.id = any (p_hold_ids) and c.kind = 'hold'
    order by lower(c.period), c.id
    for update;
    perform set_config('lock_timeout', v_lock_timeout, true);
exception
    when lock_not_available then
        perform bookingdb.raise_error('busy');
end;
$function$;

comment on function bookingdb.lock_held_times(uuid[]) is
'Locks the calendar rows of these holds, in order. A call does so once, for all of its times. Caller holds: the locks of a person of each. Raises: busy.';
