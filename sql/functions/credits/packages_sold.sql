create or replace function bookingdb.packages_sold(p_include_inactive boolean)
returns setof bookingdb.package
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- The validity is spelt out, because an interval is printed as the connection's IntervalStyle says.
    return query
    select
        p.id,
        p.name,
        p.credits,
        nullif(concat_ws(
            ' ',
            case when l.years > 0 then l.years || case l.years when 1 then ' year' else ' years' end end,
            case when l.months > 0 then l.months || case l.months when 1 then ' month' else ' months' end end,
            case when l.days > 0 then l.days || case l.days when 1 then ' day' else ' days' end end
        ), ''),
        p.price_reference,
        p.rollover_cap,
        p.category,
        p.priority,
        p.is_active
    from bookingdb.packages as p
    cross join lateral (
        select
            extract(year from p.validity)::integer as years,
            extract(month from p.validity)::integer as months,
            extract(day from p.validity)::integer as days
    ) as l
    where p.is_active or p_include_inactive;
end;
$function$;

comment on function bookingdb.packages_sold(boolean) is
'Returns the packages as callers see them, those that are not sold any more too where they are asked for.';
