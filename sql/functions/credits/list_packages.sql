-- Public.
create or replace function bookingdb.list_packages(p_include_inactive boolean default false)
returns setof bookingdb.package
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
begin
    perform bookingdb.authorise_anyone();
    if p_include_inactive is null then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_include_inactive', 'reason', 'missing'
        ));
    end if;
    if p_include_inactive and not bookingdb.caller_is_trusted() then
        perform bookingdb.raise_error('not_allowed', jsonb_build_object('parameter', 'p_include_inactive'));
    end if;

    return query
    select p.*
    from bookingdb.packages_sold(p_include_inactive) as p
    order by lower(p.name), p.name, p.id;
end;
$function$;

comment on function bookingdb.list_packages(boolean) is
'Lists the packages that are sold, by name. For every logged-in user and for trusted callers, who also see, with p_include_inactive, those that are not sold any more. Raises: invalid_parameter, not_allowed.';
