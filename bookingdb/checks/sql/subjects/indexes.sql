select
    i.indexrelid as oid,
    i.indrelid as table_oid,
    i.indexrelid::regclass::text as name,
    case
        when k.oid is null then format('drop index %s', i.indexrelid::regclass)
        else format('alter table %s drop constraint %I', t.name, k.conname)
    end as removal,
    m.amname as method,
    coalesce(pg_get_expr(i.indpred, i.indrelid), '') as predicate,
    -- An index with a refusal keeps rows out; an index that refuses nothing is there for speed alone.
    case
        when i.indisunique
            then concat('unique ', i.indimmediate, coalesce(to_jsonb(i) ->> 'indnullsnotdistinct', 'false'))
        when i.indisexclusion then pg_get_constraintdef(k.oid)
        else ''
    end as refuses,
    d.keys,
    d.orders,
    d.columns,
    d.included,
    -- The first of several that do the same is kept: ours, then one that a foreign key or a constraint stands on.
    row_number() over (
        order by
            case
                when k.oid is null then i.indexrelid::regclass::text
                else format('%I on %s', k.conname, t.name)
            end <> all(:'installed'::text[]),
            not exists (select from pg_constraint as f where f.contype = 'f' and f.conindid = i.indexrelid),
            k.oid is null,
            i.indexrelid
    ) as rank
from tables as t
inner join pg_index as i on i.indrelid = t.oid
inner join pg_class as x on x.oid = i.indexrelid
inner join pg_am as m on m.oid = x.relam
left join pg_constraint as k on k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x')
cross join lateral (
    select
        -- Column or expression, operator class (each belongs to one method) and collation; and the order (1:
        -- descending, 2: nulls first).
        array_agg(concat_ws(' ', c.name, i.indclass[n - 1], i.indcollation[n - 1]) order by n)
        filter (where n <= i.indnkeyatts) as keys,
        array_agg(i.indoption[n - 1]::integer order by n) filter (where n <= i.indnkeyatts) as orders,
        array_agg(c.name order by n) as columns,
        coalesce(array_agg(c.name order by c.name) filter (where n > i.indnkeyatts), '{}') as included
    from generate_series(1, i.indnatts::integer) as n
    cross join lateral (select pg_get_indexdef(i.indexrelid, n, true) as name) as c
) as d
where i.indisvalid
