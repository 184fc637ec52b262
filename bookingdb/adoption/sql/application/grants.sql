-- Makes the GRANT statements of each relation, in the order of attnum and ordinality. Part of other queries.
select
    p.relation,
    p.attnum,
    p.ordinality,
    format(
        'grant %s%s on table %s.%I to %s%s',
        p.privilege_type, ' (' || quote_ident(p.attname) || ')', r.relnamespace::regnamespace, r.relname, p.role,
        p.option
    ) as statement
from (:privileges) as p
inner join pg_class as r on p.relation = r.oid
