-- Policies that ask the same again for each row
-- Functions that give the same for all rows of a query, so that a policy should ask them once. A policy is kept as a
-- tree of nodes in braces. Sub-selects that are evaluated once (from no table, naming no column of the row, compared
-- with nothing) are cut out of it, inside first. Functions in the rest are called for each row.
select p.name,
    'asks ' || string_agg(distinct f.name || '()', ' and ' order by f.name || '()') || ' for each row' as problem,
    array[case when p.is_managed then :'reapply' else format(
        'alter policy %s on %s%s%s', p.bare_name, p.table_name,
        ' using (' || regexp_replace(p.qual, c.pattern, c.replacement, 'g') || ')',
        ' with check (' || regexp_replace(p.with_check, c.pattern, c.replacement, 'g') || ')'
    ) end] as statements
from row_policies as p
cross join lateral (
    with recursive steps (tree) as (
        select regexp_replace(concat(p.polqual::text, p.polwithcheck::text), '\\[{}]|[\u0001-\u0003]', '', 'g')
        union all
        select replace(regexp_replace(
            regexp_replace(
                s.tree,
                '\{SUBLINK (?![^{}]*:varlevelsup [1-9])[^{}\u0001]*'
                '\u0001QUERY [^{}\u0001]*:rtable <>[^{}]*\}',
                chr(3), 'g'
            ),
            '\{([^{}\u0003]*)\}', chr(1) || '\1' || chr(2), 'g'
        ), chr(3), '')
        from steps as s
        where s.tree ~ '\{[^{}]*\}'
    )

    select regexp_matches(s.tree, '\u0001FUNCEXPR :funcid (\d+)', 'g') as called
    from steps as s
    where s.tree !~ '\{[^{}]*\}'
) as r
inner join lateral (
    select
        case when n.nspname = 'pg_catalog' then '' else quote_ident(n.nspname) || '.' end || quote_ident(g.proname)
        as name
    from pg_proc as g
    inner join pg_namespace as n on n.oid = g.pronamespace
    where g.oid = r.called[1]::oid
        and (
            (n.nspname in ('auth', 'bookingdb') and g.pronargs = 0)
            or (n.nspname = 'pg_catalog' and g.proname = 'current_setting')
        )
) as f on true
cross join (
    select
        '\m((?:auth|bookingdb)\.(?:\w+|"(?:[^"]|"")+")\(\)'
        '|current_setting\((?:[^()'']|''(?:[^'']|'''')*'')*\))' as pattern,
        '(select \1)' as replacement
) as c
where p.relrowsecurity
group by p.name, p.is_managed, p.bare_name, p.table_name, p.qual, p.with_check, c.pattern, c.replacement
