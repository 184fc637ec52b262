create or replace function bookingdb.authorise_anyone()
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    if not bookingdb.acts_for_anyone() and bookingdb.actor_id() is null then
        perform bookingdb.raise_error('not_authenticated');
    end if;
end;
$function$;

comment on function bookingdb.authorise_anyone() is
'Lets trusted callers and every logged-in user pass. Raises: not_authenticated.';
