-- Pairs of indexes of which the second does all that the first is there for: it has the same keys or, in a b-tree, the
-- same ones first. A b-tree is read in both directions.
select a.oid, b.oid as substitute_oid, a.rank, b.rank as substitute_rank,
    (a.keys, a.orders, a.included, a.refuses) = (b.keys, b.orders, b.included, b.refuses) as is_same
from indexes as a
inner join indexes as b on b.table_oid = a.table_oid and b.oid <> a.oid and b.predicate = a.predicate
where a.refuses in ('', b.refuses)
    and a.keys = b.keys[1:cardinality(a.keys)]
    and (a.keys = b.keys or (a.refuses = '' and a.method = 'btree'))
    and (
        a.orders = b.orders[1:cardinality(a.keys)]
        or a.orders = array(select 3 - o from unnest(b.orders[1:cardinality(a.keys)]) as o)
    )
    and a.included <@ b.columns
