create or replace function bookingdb.authorise_trusted()
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    if bookingdb.acts_for_anyone() then
        return;
    end if;
    if bookingdb.actor_id() is null then
        perform bookingdb.raise_error('not_authenticated');
    end if;
    perform bookingdb.raise_error('not_allowed');
end;
$function$;

comment on function bookingdb.authorise_trusted() is
'Lets trusted callers pass and nobody else. Raises: not_authenticated, not_allowed.';
