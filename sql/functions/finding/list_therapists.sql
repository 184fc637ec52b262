-- Public.
create or replace function bookingdb.list_therapists(p_include_inactive boolean default false)
returns setof bookingdb.listed_therapist
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_trusted constant boolean := bookingdb.caller_is_trusted();
begin
    perform bookingdb.authorise_anyone();
    if p_include_inactive is null then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_include_inactive', 'reason', 'missing'
        ));
    end if;
    if p_include_inactive and not v_trusted then
        perform bookingdb.raise_error('not_allowed', jsonb_build_object('parameter', 'p_include_inactive'));
    end if;

    return query
    select
        p.id,
        p.full_name,
        (bookingdb.policy_of(p.id)).time_zone,
        p.is_active and p.is_verified,
        case when v_trusted then p.email end
    from bookingdb.people as p
    where p.user_type = 'therapist' and (p_include_inactive or (p.is_active and p.is_verified))
    order by lower(p.full_name) nulls last, p.full_name, p.id;
end;
$function$;

comment on function bookingdb.list_therapists(boolean) is
'Lists the therapists who can be booked, by name, each with the time zone in which their local times are meant. For every logged-in user and for trusted callers, who also see e-mail addresses and, with p_include_inactive, who cannot be booked. Raises: not_allowed, invalid_parameter.';
