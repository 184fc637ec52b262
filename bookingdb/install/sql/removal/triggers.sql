select format('drop trigger %I on %s', t.tgname, t.tgrelid::regclass) as statement
from pg_trigger as t
where not t.tgisinternal and starts_with(ltrim(t.tgname, 'z'), :'prefix')
order by 1
