select format('drop policy %I on %I.%I', p.policyname, p.schemaname, p.tablename) as statement
from pg_policies as p
where starts_with(p.policyname, :'prefix')
order by 1
