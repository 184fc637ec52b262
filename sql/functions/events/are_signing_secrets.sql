create or replace function bookingdb.are_signing_secrets(p_secrets jsonb)
returns boolean
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- 24 to 64 bytes, as Standard Webhooks asks for.
    return jsonb_typeof(p_secrets) = 'array'
        and jsonb_array_length(p_secrets) between 1 and 5
        and not exists (
            select from jsonb_array_elements(p_secrets) as s (secret)
            where jsonb_typeof(s.secret) <> 'string'
                or s.secret #>> '{}' !~ '^whsec_([A-Za-z0-9+/]{4}){8,21}([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$'
        );
end;
$function$;

comment on function bookingdb.are_signing_secrets(jsonb) is
'Says whether this is a list of secrets by which webhooks are signed: whsec_ and base64, the newest first.';
