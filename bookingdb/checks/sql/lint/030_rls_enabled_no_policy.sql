-- Tables with row level security, but no policy that says what is meant
select t.name,
    'has row level security, but no policy' as problem,
    array[case
        when t.name = any(:'secured') then :'reapply'
        else format('create policy deny on %s for all to public using (false) with check (false)', t.name)
    end] as statements
from tables as t
where t.relrowsecurity and not exists (select from row_policies as p where p.table_oid = t.oid)
