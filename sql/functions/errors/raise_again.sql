create or replace function bookingdb.raise_again(p_error jsonb, p_context jsonb)
returns void
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    raise exception using
        errcode = p_error ->> 'sqlstate',
        message = p_error ->> 'message',
        detail = ((p_error ->> 'detail')::jsonb || p_context)::text,
        hint = p_error ->> 'hint';
end;
$function$;

comment on function bookingdb.raise_again(jsonb, jsonb) is
'Raises an error of raise_error() once more (sqlstate, message, detail, hint), with more context in its DETAIL, such as the session of a series.';
