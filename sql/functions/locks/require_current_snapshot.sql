create or replace function bookingdb.require_current_snapshot()
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_snapshot constant pg_snapshot := pg_current_snapshot();
    v_own constant bigint := pg_current_xact_id()::text::bigint;
begin
    if current_setting('transaction_isolation') = 'read committed' then
        return;
    end if;
    -- Transactions that the snapshot does not show, and that ended since, may have written what is looked for here.
    -- Those that still run wait for the locks that the caller holds.
    if exists (
        select
        from (
            select x.id::text::bigint as id from pg_snapshot_xip(v_snapshot) as x (id)
            union all
            select g.id from generate_series(pg_snapshot_xmax(v_snapshot)::text::bigint, v_own - 1) as g (id)
        ) as t
        where pg_xact_status(t.id::text::xid8) = 'committed'
    ) then
        perform bookingdb.raise_error('busy');
    end if;
end;
$function$;

comment on function bookingdb.require_current_snapshot() is
'Refuses a REPEATABLE READ or SERIALIZABLE transaction whose snapshot does not show what others committed since. Caller holds: the locks of the people, before any write. Raises: busy.';
