-- Triggers and rules of others on the tables of the schema bookingdb, which could undo what ours do.
select 'trigger' as kind, quote_ident(t.tgname) as name, t.tgrelid::regclass::text as "table"
from pg_trigger as t
inner join pg_class as c on c.oid = t.tgrelid
where c.relnamespace = 'bookingdb'::regnamespace and not t.tgisinternal and not starts_with(t.tgname, :'prefix')
union all
select 'rule' as kind, quote_ident(r.rulename) as name, r.ev_class::regclass::text as "table"
from pg_rewrite as r
inner join pg_class as c on c.oid = r.ev_class
where c.relnamespace = 'bookingdb'::regnamespace and r.rulename <> '_RETURN'
order by 1, 3, 2
