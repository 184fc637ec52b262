-- Objects of others on our tables which could undo what ours do: the group, the object, its problem, what removes it.
-- Triggers on the application's own tables are the application's right.
select
    'triggers' as finding_group,
    quote_ident(t.tgname) || ' on ' || r.name as object,
    'is not part of bookingdb' as problem,
    format('drop trigger %I on %s', t.tgname, r.name) as statement
from relations as r
inner join pg_trigger as t on t.tgrelid = r.oid
where r.relnamespace = 'bookingdb'::regnamespace and not t.tgisinternal and not starts_with(t.tgname, :'prefix')
union all
select
    'rules' as finding_group,
    quote_ident(w.rulename) || ' on ' || r.name as object,
    'is not part of bookingdb: what is written to the table can become something else, or nothing' as problem,
    format('drop rule %I on %s', w.rulename, r.name) as statement
from relations as r
inner join pg_rewrite as w on w.ev_class = r.oid
where w.rulename <> '_RETURN'
union all
select
    'inheritance' as finding_group,
    i.inhrelid::regclass::text as object,
    format('its rows count as rows of %s, without the triggers and constraints of that', r.name) as problem,
    format('alter table %s no inherit %s', i.inhrelid::regclass, r.name) as statement
from relations as r
inner join pg_inherits as i on i.inhparent = r.oid
where r.relkind = 'r'
order by 1, 2
