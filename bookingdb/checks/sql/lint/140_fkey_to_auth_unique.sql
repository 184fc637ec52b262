-- Foreign keys to what Supabase may change: keys of its schema auth other than the primary ones
select format('%I on %s', f.conname, t.name) as object,
    'refers to ' || f.confrelid::regclass || ' by another key than the primary one' as problem,
    array[format('alter table %s drop constraint %I', t.name, f.conname)] as statements
from tables as t
inner join pg_constraint as f on f.conrelid = t.oid and f.contype = 'f'
inner join pg_class as c on c.oid = f.confrelid
inner join pg_index as i on i.indexrelid = f.conindid
where c.relnamespace = to_regnamespace('auth') and not i.indisprimary
