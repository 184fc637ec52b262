select format('drop trigger %I on %s', t.tgname, t.tgrelid::regclass) as statement
from pg_trigger as t
where not t.tgisinternal and starts_with(t.tgname, :'prefix')
order by 1
