create or replace function bookingdb.refresh_time_zones()
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_now constant timestamptz := date_trunc('hour', now());
    v_until constant timestamptz := v_now + interval '43848 hours';
    v_zone record;
    v_rules bookingdb.zone_rules;
begin
    -- One refresh at a time: two would record the same version twice.
    lock table bookingdb.time_zone_rules in share row exclusive mode;

    insert into bookingdb.time_zones (name)
    select z.name
    from pg_catalog.pg_timezone_names as z
    where z.name !~ '^(posix|right)/'
        and z.name not in ('localtime', 'posixrules', 'Factory')
        -- Where a zone's name is an abbreviation, too (CET, EST), Postgres takes the abbreviation: an offset without
        -- clock changes, which depends on the connection's settings. UTC and GMT are the same either way.
        and not exists (
            select from pg_catalog.pg_timezone_abbrevs as a
            where a.abbrev = upper(z.name) and a.abbrev not in ('GMT', 'UCT', 'UTC', 'ZULU')
        )
    on conflict do nothing;

    -- A zone whose spelling changed is still found by its old name.
    update bookingdb.time_zones as z
    set gone_since = n.gone_since,
        alias = case when n.gone_since is not null then (bookingdb.zone_aliases(z.name))[1] end
    from (
        select t.name, case when not bookingdb.is_time_zone(t.name) then coalesce(t.gone_since, now()) end as gone_since
        from bookingdb.time_zones as t
    ) as n
    where n.name = z.name and n.gone_since is distinct from z.gone_since;

    for v_zone in
        select z.name, r.id, r.starts_at, r.utc_offsets, r.known_until
        from bookingdb.time_zones as z
        left join lateral (
            select k.*
            from bookingdb.time_zone_rules as k
            where k.time_zone = z.name
            order by k.id desc
            limit 1
        ) as r on true
        where z.gone_since is null
    loop
        if v_zone.id is not null then
            v_rules := bookingdb.zone_rules(v_zone.name, v_zone.starts_at[1], v_zone.known_until);
            if (v_rules.starts_at, v_rules.utc_offsets) <> (v_zone.starts_at, v_zone.utc_offsets) then
                continue when not bookingdb.has_current_rules(v_zone.name);
                v_zone.id := null;
            elsif v_zone.known_until > v_until - interval '8784 hours' then
                continue;
            end if;
        end if;

        v_rules := bookingdb.zone_rules(v_zone.name, v_now, v_until);
        if v_zone.id is null then
            insert into bookingdb.time_zone_rules (time_zone, starts_at, utc_offsets, known_until, past)
            values (v_zone.name, v_rules.starts_at, v_rules.utc_offsets, v_until, bookingdb.zone_past(v_zone.name));
        else
            -- The rules are the same, and are known for longer now.
            update bookingdb.time_zone_rules as r
            set starts_at = v_rules.starts_at,
                utc_offsets = v_rules.utc_offsets,
                known_until = v_until
            where r.id = v_zone.id;
        end if;
    end loop;
end;
$function$;

comment on function bookingdb.refresh_time_zones() is
'Records the zones this server knows, with their rules for five years, and those it has lost. Every installation ends with it; call it again after an update of the server''s time zones.';
