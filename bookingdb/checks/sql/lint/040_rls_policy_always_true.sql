-- Policies that let callers write any row
-- remedy: {run}, or give it a condition
select p.name,
    format(
        'lets %s %s any row', string_agg(k.role, ' and ' order by k.role),
        case p.polcmd when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'write' end
    ) as problem,
    array[p.removal] as statements
from row_policies as p
inner join callers as k on k.oid = any(p.polroles)
where p.relrowsecurity
    and p.polpermissive
    and p.polcmd <> 'r'
    and (p.reaches_all_rows or p.accepts_all_rows)
group by p.name, p.polcmd, p.removal
