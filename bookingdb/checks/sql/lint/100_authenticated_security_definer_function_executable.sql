-- Functions in an exposed schema that users run with the rights of the owner
select f.name,
    'runs with the rights of its owner for '
    || string_agg(distinct coalesce(g.rolname, 'public'), ' and ' order by coalesce(g.rolname, 'public')) as problem,
    array[format('alter routine %s security invoker', f.name)] as statements
from functions as f
cross join lateral aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) as a
left join pg_roles as g on g.oid = a.grantee
where f.prosecdef and f.pronamespace in (select e.oid from exposed as e) and a.grantee <> f.proowner
group by f.name
