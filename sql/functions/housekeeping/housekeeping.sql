-- Public.
create or replace function bookingdb.housekeeping(p_limit integer default 1000, p_dry_run boolean default false)
returns bookingdb.removed_records
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    -- A dry run counts all there is.
    v_limit constant integer := case when not p_dry_run then p_limit end;
    v_before timestamptz;
    v_lapsed_ids uuid[];
    v_removed bookingdb.removed_records;
begin
    perform bookingdb.authorise_trusted();
    if (p_limit between 1 and 10000) is not true then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_limit', 'minimum', 1, 'maximum', 10000
        ));
    end if;
    if p_dry_run is null then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_dry_run', 'reason', 'missing'
        ));
    end if;
    v_before := clock_timestamp() - make_interval(hours => 24 * (bookingdb.policy_of(null)).retention_days);

    -- Rows are found first and locked then: somebody may have changed or locked one meanwhile, which stays for the next
    -- run. So this waits for nobody. Keys go before the holds that they answer with.
    v_removed.idempotency_keys := bookingdb.remove_rows(
        'bookingdb.idempotency_keys', array(select bookingdb.keys_over(v_before, v_limit)), p_dry_run
    );
    v_removed.holds := bookingdb.remove_rows(
        'bookingdb.holds', array(select bookingdb.holds_over(v_before, v_limit)), p_dry_run
    );
    v_removed.events := bookingdb.remove_rows(
        'bookingdb.outbox', array(select bookingdb.events_over(v_before, v_limit)), p_dry_run
    ) + bookingdb.remove_rows(
        'bookingdb.deliveries', array(select bookingdb.deliveries_over(v_before, v_limit)), p_dry_run
    );
    -- Nobody counts these.
    perform bookingdb.remove_rows(
        'bookingdb.expiry_notices', array(select bookingdb.notices_over(v_before, v_limit)), p_dry_run
    );
    v_removed.refusals := bookingdb.remove_rows(
        'bookingdb.refusals', array(select bookingdb.refusals_over(v_before, v_limit)), p_dry_run
    );

    v_lapsed_ids := array(select l.id from bookingdb.lapsed_sessions(v_limit) as l (id));
    v_removed.lapsed_sessions := cardinality(v_lapsed_ids);
    if not p_dry_run then
        v_removed.lapsed_sessions := bookingdb.lapse_sessions(v_lapsed_ids, false);
    end if;

    v_removed.session_times := bookingdb.remove_times('session', v_before, v_limit, p_dry_run);
    v_removed.time_off := bookingdb.remove_times('time_off', v_before, v_limit, p_dry_run);
    v_removed.external_events := bookingdb.remove_times('external', v_before, v_limit, p_dry_run);
    -- Last, because a booking that wants the very time of an expired hold waits until this transaction ends.
    v_removed.held_times := bookingdb.remove_times('hold', v_before, v_limit, p_dry_run);
    return v_removed;
end;
$function$;

comment on function bookingdb.housekeeping(integer, boolean) is
'Removes what was over longer ago than the default policy''s retention_days: answered idempotency keys, holds, handled events and their deliveries (counted as events), refusals, and calendar rows of past sessions, time off and external appointments; expired holds leave the calendar at once, and sessions that waited for approval too long are cancelled. At most p_limit (1 to 10000) of each kind a call, and nothing that somebody has locked; returns how many of each. With p_dry_run it counts all of them and removes none. Call it in a transaction of its own. For trusted callers. Raises: invalid_parameter.';
