create or replace function bookingdb.lock_key(p_key bigint, p_shared boolean, p_wait boolean)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_lock_timeout text;
begin
    if p_shared then
        if pg_try_advisory_xact_lock_shared(p_key) then
            return;
        end if;
    elsif pg_try_advisory_xact_lock(p_key) then
        return;
    end if;

    if not p_wait then
        perform bookingdb.raise_error('busy');
    end if;

    -- Waiting needs a subtransaction (to tell lock_timeout by its name), so it comes last.
    begin
        v_lock_timeout := bookingdb.limit_wait();
        if p_shared then
            perform pg_advisory_xact_lock_shared(p_key);
        else
            perform pg_advisory_xact_lock(p_key);
        end if;
        perform set_config('lock_timeout', v_lock_timeout, true);
    exception
        when lock_not_available then
            perform bookingdb.raise_error('busy');
    end;
end;
$function$;

comment on function bookingdb.lock_key(bigint, boolean, boolean) is
'Takes an advisory lock, shared or alone, until the transaction ends. Without p_wait a lock that is not free is refused at once. Raises: busy.';
