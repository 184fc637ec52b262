-- Lists where session_replication_role is set, which lets triggers fire for nobody: the object, what resets it.
select
    case
        when s.setrole = 0 and s.setdatabase = 0 then 'all roles'
        when s.setrole = 0 then format('database %I', d.datname)
        when s.setdatabase = 0 then format('role %I', r.rolname)
        else format('role %I in database %I', r.rolname, d.datname)
    end as object,
    case
        when s.setrole = 0 and s.setdatabase <> 0 then format('alter database %I', d.datname)
        else
            'alter role ' || case when s.setrole = 0 then 'all' else quote_ident(r.rolname) end
            || coalesce(' in database ' || quote_ident(d.datname), '')
    end || ' reset session_replication_role' as statement
from pg_db_role_setting as s
left join pg_database as d on d.oid = s.setdatabase
left join pg_roles as r on r.oid = s.setrole
where (s.setdatabase = 0 or d.datname = current_database())
    and exists (select from unnest(s.setconfig) as c (setting) where c.setting like 'session_replication_role=%')
union all
select
    'function ' || p.oid::regprocedure as object,
    format('alter routine %s reset session_replication_role', p.oid::regprocedure) as statement
from pg_proc as p
where exists (select from unnest(p.proconfig) as c (setting) where c.setting like 'session_replication_role=%')
    and not exists (select from functions as f where f.oid = p.oid)
union all
select
    'server' as object,
    'alter system reset session_replication_role`, then `select pg_reload_conf()' as statement
from pg_settings as g
where g.name = 'session_replication_role'
    and g.reset_val <> 'origin'
    and g.source in ('configuration file', 'command line')
order by 1
