-- Before Postgres 16, columns come with the table's alias also where there is only one table.
select r.name,
    case r.relkind when 'v' then 'view' else 'materialized view' end as kind,
    array(
        select quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod)
        from pg_attribute as a
        where a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
        order by a.attnum
    ) as columns,
    btrim(regexp_replace(
        regexp_replace(v.text, '\m(' || coalesce(l.aliases, '') || ')\.', '', 'g'), '\s+', ' ', 'g'
    )) as definition,
    coalesce(r.reloptions, '{}') as options
from relations as r
inner join lateral (select pg_get_viewdef(r.oid) as text) as v on true
inner join lateral (
    select string_agg(m[1], '|') as aliases
    from regexp_matches(v.text, '(?:FROM|JOIN) \(*[[:alnum:]_]+\.[[:alnum:]_]+ ([[:alnum:]_]+)', 'g') as m
) as l on true
where r.relkind in ('v', 'm')
order by 1
