select r.oid, r.name, r.relnamespace, r.relrowsecurity from relations as r where r.relkind in ('r', 'p')
