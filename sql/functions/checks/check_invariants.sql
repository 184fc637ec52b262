create or replace function bookingdb.check_invariants()
returns table (invariant integer, subject_id uuid, problem text, context jsonb)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- Each reads the tables themselves (see its settings): a corrupt index would hide the rows that its constraint
    -- missed. No table may therefore be read once for each row of another one.
    return query
    select c.* from bookingdb.check_overlaps() as c
    union all
    select c.* from bookingdb.check_calendar() as c
    union all
    select c.* from bookingdb.check_balances() as c
    union all
    select c.* from bookingdb.check_charges() as c
    union all
    select c.* from bookingdb.check_audit_log() as c
    union all
    select c.* from bookingdb.check_idempotency_keys() as c
    union all
    select c.* from bookingdb.check_clients() as c
    union all
    select c.* from bookingdb.check_payment() as c
    union all
    select c.* from bookingdb.check_holds() as c
    union all
    select c.* from bookingdb.check_times() as c
    union all
    select c.* from bookingdb.check_rules() as c
    union all
    select c.* from bookingdb.check_deliveries() as c;
end;
$function$;

comment on function bookingdb.check_invariants() is
'Returns a row for each violation of what must always hold (docs/how-it-works.md): the invariant, the session, lot or calendar row, the problem, its context. Reads every row: not for requests.';
