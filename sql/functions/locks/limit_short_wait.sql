create or replace function bookingdb.limit_short_wait()
returns text
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_lock_timeout constant text := current_setting('lock_timeout');
begin
    perform set_config('lock_timeout', greatest(1, floor(extract(epoch from least(
        nullif(v_lock_timeout::interval, interval '0'), current_setting('deadlock_timeout')::interval / 2
    )) * 1000))::text, true);
    return v_lock_timeout;
end;
$function$;

comment on function bookingdb.limit_short_wait() is
'Caps lock_timeout at half of deadlock_timeout: a wait ends with busy before Postgres looks for a deadlock. Returns the lock_timeout to set again after the wait.';
