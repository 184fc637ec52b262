create or replace function bookingdb.limit_wait()
returns text
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_lock_timeout constant text := current_setting('lock_timeout');
    v_left constant interval := nullif(current_setting('statement_timeout'), '0')::interval
        - (clock_timestamp() - statement_timestamp());
begin
    if v_left is not null and (v_lock_timeout = '0' or v_left * 0.9 < v_lock_timeout::interval) then
        perform set_config('lock_timeout', greatest(1, floor(extract(epoch from v_left) * 900))::text, true);
    end if;
    return v_lock_timeout;
end;
$function$;

comment on function bookingdb.limit_wait() is
'Caps lock_timeout at nine tenths of the statement''s remaining time, so that a wait for a lock ends as one and not by statement_timeout. Returns the lock_timeout to set again after the wait.';
