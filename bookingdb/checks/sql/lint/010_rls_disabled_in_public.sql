-- Tables in an exposed schema without row level security
select t.name,
    'has no row level security' as problem,
    array[format('alter table %s enable row level security', t.name)] as statements
from tables as t
where not t.relrowsecurity and t.relnamespace in (select e.oid from exposed as e)
