create or replace function bookingdb.lock_sessions(p_session_ids uuid[])
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_deadline constant timestamptz := clock_timestamp() + nullif(current_setting('lock_timeout'), '0')::interval;
    v_awaited_id uuid := p_session_ids[1];
    v_locked_id uuid;
    v_lock_timeout text;
begin
    -- A statement that changes many sessions locks them in any order, so this waits while it holds none. A row that is
    -- not free undoes the block, which lets the others go, and is waited for alone.
    loop
        begin
            v_locked_id := null;
            v_lock_timeout := bookingdb.limit_wait();
            v_locked_id := bookingdb.try_lock_sessions(p_session_ids, v_awaited_id);
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_locked_id is null then
                return;
            end if;
            raise lock_not_available;
        exception
            when lock_not_available then
                if v_locked_id is null or clock_timestamp() > v_deadline then
                    perform bookingdb.raise_error('busy');
                end if;
                v_awaited_id := v_locked_id;
        end;
    end loop;
end;
$function$;

comment on function bookingdb.lock_sessions(uuid[]) is
'Locks sessions until the transaction ends, in the order given. Waits for one while it holds none of them. Raises: busy.';
