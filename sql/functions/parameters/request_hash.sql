create or replace function bookingdb.request_hash(p_parameters jsonb)
returns bytea
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return sha256(convert_to(p_parameters::text, 'UTF8'));
end;
$function$;

comment on function bookingdb.request_hash(jsonb) is
'The fingerprint of a request''s raw parameters, by which a retry is told from another request with the same idempotency key. Instants must be given as text in UTC: jsonb would render them in the connection''s TimeZone.';
