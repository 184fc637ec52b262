-- The owner of what bookingdb has in this database, or of the tables that it would take over, if somebody has more
-- rights. One row: who that is, the owner, and as whom to connect; no row where there is none.
--
-- Somebody has more rights if they have those of the owner, and the owner does not have theirs; or if they have a right
-- that reaches beyond their own tables, and the owner does not. People can take on each role that they are a member of,
-- and so can code that runs in their session.
with owners (oid, rank, name) as (
    select n.nspowner, 1, null::text from pg_namespace as n where n.nspname = 'bookingdb'
    union all
    select c.relowner, 2, null
    from pg_class as c
    inner join pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = 'bookingdb' or (n.nspname = 'public' and c.relname = any(:'public_tables'))
    union all
    select p.proowner, 3, null
    from pg_proc as p
    inner join pg_namespace as n on n.oid = p.pronamespace
    where n.nspname = 'bookingdb'
    union all
    -- A call could mean a function of theirs. Those that applications call are definer functions in bookingdb.
    select p.proowner, 4, 'function ' || p.oid::regprocedure
    from pg_proc as p
    inner join pg_namespace as n on n.oid = p.pronamespace
    where n.nspname = 'public'
        and exists (
            select from pg_proc as b
            where b.pronamespace = to_regnamespace('bookingdb') and b.proname = p.proname and b.prosecdef
        )
),

-- In the words of CREATE ROLE, or the name of a predefined role.
rights (role, name) as (
    select r.oid, a.name
    from pg_roles as r
    cross join lateral (
        values
        ('superuser', r.rolsuper),
        ('createrole', r.rolcreaterole),
        ('replication', r.rolreplication),
        ('bypassrls', r.rolbypassrls),
        (
            r.rolname::text,
            r.rolname in (
                'pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files', 'pg_read_all_data',
                'pg_write_all_data'
            )
        )
    ) as a (name, is_given)
    where a.is_given
)

select
    session_user::text as login,
    r.rolname::text as owner,
    case
        when o.rank = 4 and r.oid not in (select s.oid from owners as s where s.rank = 1) then
            format('drop %s', o.name)
        else format('connect as %I', r.rolname)
            || case when r.rolcanlogin then '' else format(' (first `alter role %I login`)', r.rolname) end
    end as remedy
from owners as o
inner join pg_roles as r on r.oid = o.oid
cross join (select :login as name) as l
where exists (
    select from pg_roles as m
    where pg_has_role(l.name, m.oid, 'MEMBER')
        and pg_has_role(m.oid, r.oid, 'MEMBER')
        and not pg_has_role(r.oid, m.oid, 'MEMBER')
)
or exists (
    select from rights as g
    where pg_has_role(session_user, g.role, 'MEMBER')
        and not exists (
            select from rights as h where h.name = g.name and pg_has_role(r.oid, h.role, 'MEMBER')
        )
)
order by o.rank, r.rolname
limit 1
