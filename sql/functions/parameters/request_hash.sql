-- Inlined.
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
'Returns the fingerprint of a request''s parameters, by which a retry is told from another request with the same key. Timestamps must be text in UTC: jsonb follows the connection''s TimeZone.';
