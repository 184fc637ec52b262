create or replace function bookingdb.authorise_worker()
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    perform bookingdb.authorise_trusted();
    if has_function_privilege(
        to_regrole(quote_ident(bookingdb.effective_role()))::oid, 'bookingdb.work_deliveries()'::regprocedure::oid,
        'EXECUTE'
    ) is not true then
        perform bookingdb.raise_error('not_allowed', jsonb_build_object('reason', 'no_worker'));
    end if;
    -- A successor that an old snapshot hides would wait for ever.
    if current_setting('transaction_isolation') <> 'read committed' then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'transaction_isolation', 'allowed', 'read committed'
        ));
    end if;
end;
$function$;

comment on function bookingdb.authorise_worker() is
'Lets trusted callers with the worker''s privilege pass, in READ COMMITTED. Raises: not_allowed, invalid_parameter.';
