create or replace function bookingdb.describe_destination(p_destination bookingdb.destinations)
returns bookingdb.listed_destination
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return row(
        p_destination.name, p_destination.kind, p_destination.events, p_destination.settings,
        array(select jsonb_object_keys(p_destination.secrets) order by 1), p_destination.is_enabled,
        p_destination.disabled_reason, p_destination.starts_at, p_destination.created_at
    )::bookingdb.listed_destination;
end;
$function$;

comment on function bookingdb.describe_destination(bookingdb.destinations) is
'Returns a destination as callers see it: of its secrets the names alone.';
