-- Functions in an exposed schema that anybody runs with the rights of the owner
select f.name,
    'runs with the rights of its owner for ' || string_agg(k.role, ' and ' order by k.role) as problem,
    array[format('alter routine %s security invoker', f.name)] as statements
from functions as f
inner join callers as k on has_function_privilege(k.role, f.oid, 'EXECUTE')
where f.prosecdef and f.pronamespace in (select e.oid from exposed as e) and k.role in ('public', 'anon')
group by f.name
