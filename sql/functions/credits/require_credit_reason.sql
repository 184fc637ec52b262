create or replace function bookingdb.require_credit_reason(p_reason text)
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    perform bookingdb.require_length('p_reason', coalesce(p_reason, ''), 1, 1000);
    -- A reason of white space only counts as missing.
    perform bookingdb.require_length('p_reason', btrim(p_reason, e' \t\r\n'), 1, 1000);
end;
$function$;

comment on function bookingdb.require_credit_reason(text) is
'Refuses a change of credits without a reason that the ledger can keep: 1 to 1000 characters, not white space alone.';
