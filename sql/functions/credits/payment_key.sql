create or replace function bookingdb.payment_key(p_payment_reference text)
returns bytea
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return sha256(convert_to(p_payment_reference, 'UTF8'));
end;
$function$;

comment on function bookingdb.payment_key(text) is
'Returns the key of a payment: a digest of its reference, by which it is known after the reference was erased, too.';
