create or replace function bookingdb.require_idempotency_key(p_idempotency_key text)
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    perform bookingdb.require_length('p_idempotency_key', p_idempotency_key, 1, 255);
end;
$function$;

comment on function bookingdb.require_idempotency_key(text) is
'Refuses an idempotency key (null passes: there is none) of other than 1 to 255 characters.';
