create or replace function bookingdb.zone_aliases(p_time_zone text)
returns text[]
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_known bookingdb.time_zone_rules;
    v_aliases text[];
begin
    select r.*
    into v_known
    from bookingdb.time_zone_rules as r
    where r.time_zone = p_time_zone
    order by r.id desc
    limit 1;
    if not found then
        return '{}';
    end if;

    -- A name such as America/Los_Angeles is the one that lasts; of those, one that also has the same past.
    select array_agg(a.name order by a.past = v_known.past desc, a.is_place desc, a.name)
    into v_aliases
    from (
        select z.name, bookingdb.zone_past(z.name) as past,
            z.name ~ '^(Africa|America|Antarctica|Asia|Atlantic|Australia|Europe|Indian|Pacific)/' as is_place
        from bookingdb.time_zones as z
        cross join lateral (
            select case when bookingdb.is_time_zone(z.name) then bookingdb.zone_rules(
                z.name, v_known.starts_at[1], v_known.known_until
            ) end as rules
            offset 0
        ) as n
        where z.name <> p_time_zone
            and ((n.rules).starts_at, (n.rules).utc_offsets) = (v_known.starts_at, v_known.utc_offsets)
    ) as a;
    return coalesce(v_aliases[1:3], '{}');
end;
$function$;

comment on function bookingdb.zone_aliases(text) is
'Returns up to three zones that this server knows, and that have the rules last recorded for a zone it has lost, the likeliest first. Reads the rules of every zone.';
