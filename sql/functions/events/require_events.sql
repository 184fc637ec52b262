create or replace function bookingdb.require_events(p_events text[], p_settings jsonb)
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    c_old_names constant text[] := '{session.created,session.status_changed,credits.refunded}';
    v_allowed text[] := bookingdb.event_types();
    v_unknown text;
begin
    if p_settings ->> 'old_names' = 'true' then
        v_allowed := v_allowed || c_old_names;
    end if;
    select e.name
    into v_unknown
    from unnest(p_events) as e (name)
    where e.name is null
        or (
            e.name <> '*'
            and e.name <> all (v_allowed)
            and not exists (select from unnest(v_allowed) as a (name) where e.name = split_part(a.name, '.', 1) || '.*')
        )
    limit 1;
    if found then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_events', 'reason', 'unknown', 'event', left(v_unknown, 63)
        ));
    end if;
end;
$function$;

comment on function bookingdb.require_events(text[], jsonb) is
'Refuses what is no type of event, so that no misspelt one is waited for. Raises: invalid_parameter.';
