create or replace function bookingdb.hash_of_secret(p_secret text)
returns bytea
language plpgsql
immutable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return sha256(convert_to(p_secret, 'UTF8'));
end;
$function$;

comment on function bookingdb.hash_of_secret(text) is
'Returns what is kept of a secret that is long and random: no salt is needed, and it is found by an index.';
