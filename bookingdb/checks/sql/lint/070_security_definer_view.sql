-- Views over our tables that callers read with the rights of the owner
-- Before Postgres 15 all views are.
select v.name,
    'shows ' || array_to_string(v.readers, ' and ') || ' what its owner sees' as problem,
    array[case
        when current_setting('server_version_num')::integer >= 150000
            then format('alter view %s set (security_invoker = on)', v.name)
        else format('revoke all on %s from %s', v.name, array_to_string(v.readers, ', '))
    end] as statements
from views as v
where v.relkind = 'v' and not v.is_invoker and v.is_exposed and v.readers <> '{}'
