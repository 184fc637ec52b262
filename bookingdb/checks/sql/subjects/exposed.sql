-- The schemas that PostgREST serves: public, and those that it was told to.
select n.oid
from pg_namespace as n
where n.nspname = 'public' or n.nspname in (
    select btrim(listed.name)
    from (
        select current_setting('pgrst.db_schemas', true) as names
        union all
        select substr(c.setting, length('pgrst.db_schemas=') + 1)
        from pg_db_role_setting as s
        cross join unnest(s.setconfig) as c (setting)
        where s.setrole in (0, to_regrole('authenticator'))
            and s.setdatabase in (0, (select d.oid from pg_database as d where d.datname = current_database()))
            and starts_with(c.setting, 'pgrst.db_schemas=')
    ) as told
    cross join string_to_table(told.names, ',') as listed (name)
)
