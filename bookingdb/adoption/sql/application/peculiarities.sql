-- Lists what makes a table more than its rows: rewriting rules and inheritance.
select 'is no ordinary table' from pg_class as c
where c.oid = to_regclass(:'table') and c.relkind <> 'r'
union all
select format('has the rule %I, which rewrites what is written there', r.rulename)
from pg_rewrite as r
where r.ev_class = to_regclass(:'table') and r.rulename <> '_RETURN'
union all
select format('inherits from %s', i.inhparent::regclass)
from pg_inherits as i
where i.inhrelid = to_regclass(:'table')
union all
select format('is inherited by %s, whose rows bookingdb would neither see nor guard', i.inhrelid::regclass)
from pg_inherits as i
where i.inhparent = to_regclass(:'table')
order by 1
