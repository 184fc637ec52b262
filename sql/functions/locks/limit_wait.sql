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
'Before a wait for a lock, sees to it that lock_timeout ends it and not statement_timeout, after which nobody would hear that it was a lock (on Supabase both are 8 s): where that is due first, the wait gets nine tenths of the time that the statement has left. Returns the lock_timeout to be set again after the wait.';
