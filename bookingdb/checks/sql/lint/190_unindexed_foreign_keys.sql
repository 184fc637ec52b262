-- Foreign keys without an index: a row they refer to is deleted by reading the whole table
-- Those of other tables that refer to ours make our rows slow to delete, too.
select format('%I on %s', f.conname, f.conrelid::regclass) as object,
    'no index begins with ' || k.columns as problem,
    array[coalesce(
        -- Ours, where it is that one that is missing.
        (
            select min(w.value ->> 'definition')
            from jsonb_each(:'indexes') as w
            where w.value ->> 'table' = f.conrelid::regclass::text
                and (
                    strpos(w.value ->> 'definition', '(' || k.columns || ',') > 0
                    or strpos(w.value ->> 'definition', '(' || k.columns || ')') > 0
                )
                and to_regclass(w.key) is null
        ),
        format('create index on %s (%s)', f.conrelid::regclass, k.columns)
    )] as statements
from pg_constraint as f
cross join lateral (
    select
        string_agg(quote_ident(a.attname), ', ' order by u.place) as columns,
        array_agg(format('(%I IS NOT NULL)', a.attname)) as harmless_predicates
    from unnest(f.conkey) with ordinality as u (attnum, place)
    inner join pg_attribute as a on a.attrelid = f.conrelid and a.attnum = u.attnum
) as k
where f.contype = 'f'
    and f.conparentid = 0
    and (f.conrelid in (select t.oid from tables as t) or f.confrelid in (select t.oid from tables as t))
    and not exists (
        select
        from pg_index as i
        inner join pg_class as x on x.oid = i.indexrelid
        inner join pg_am as m on m.oid = x.relam
        where i.indrelid = f.conrelid
            and i.indisvalid
            and m.amname in ('btree', 'hash')
            and i.indnkeyatts >= cardinality(f.conkey)
            and (string_to_array(i.indkey::text, ' ')::smallint[])[1:cardinality(f.conkey)] @> f.conkey
            and (i.indpred is null or pg_get_expr(i.indpred, i.indrelid) = any(k.harmless_predicates))
    )
