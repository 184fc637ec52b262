-- Tables with policies that are not in force
select t.name,
    'has no row level security, but policies: ' || string_agg(p.bare_name, ', ' order by p.bare_name) as problem,
    array[format('alter table %s enable row level security', t.name)] as statements
from tables as t
inner join row_policies as p on p.table_oid = t.oid
where not t.relrowsecurity
group by t.name
