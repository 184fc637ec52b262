-- Lists the foreign keys that rest on a unique constraint.
select f.conrelid::regclass::text || ': ' || f.conname
from pg_constraint as u
inner join pg_constraint as f on f.contype = 'f' and u.conindid = f.conindid
where u.conrelid = to_regclass(:'table') and quote_ident(u.conname) = :'name' and u.contype = 'u'
order by 1
