-- The owner of what bookingdb has in this database, or of the tables that it would take over, if somebody has more
-- rights. One row: who that is, the owner, and as whom to connect; no row where there is none.
--
-- A role has more rights if it has those of the owner, and the owner does not have its. People can take on each role
-- that they are a member of, and so can code that runs in their session.
with owners (oid, rank) as (
    select n.nspowner, 1 from pg_namespace as n where n.nspname = 'bookingdb'
    union all
    select c.relowner, 2
    from pg_class as c
    inner join pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = 'bookingdb' or (n.nspname = 'public' and c.relname = any(:'public_tables'))
    union all
    select p.proowner, 3
    from pg_proc as p
    inner join pg_namespace as n on n.oid = p.pronamespace
    where n.nspname = 'bookingdb'
)

select
    l.name as login,
    r.rolname::text as owner,
    format('connect as %I', r.rolname)
    || case when r.rolcanlogin then '' else format(' (first `alter role %I login`)', r.rolname) end as remedy
from owners as o
inner join pg_roles as r on r.oid = o.oid
cross join (select :login as name) as l
where exists (
    select from pg_roles as m
    where pg_has_role(l.name, m.oid, 'MEMBER')
        and pg_has_role(m.oid, r.oid, 'MEMBER')
        and not pg_has_role(r.oid, m.oid, 'MEMBER')
)
order by o.rank, r.rolname
limit 1
