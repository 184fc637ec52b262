-- Postgres 18 has a constraint for each NOT NULL; the columns have that already. Only 18 knows NOT ENFORCED. Foreign
-- keys are checked by triggers, which a superuser can switch off.
select format('%I on %s', c.conname, r.name) as name,
    r.name as "table",
    regexp_replace(pg_get_constraintdef(c.oid), '( NOT VALID| NOT ENFORCED)+$', '') as definition,
    c.convalidated as valid,
    coalesce((to_jsonb(c) ->> 'conenforced')::boolean, true) and not exists (
        select from pg_trigger as t where t.tgconstraint = c.oid and t.tgenabled not in ('O', 'A')
    ) as enforced,
    not exists (
        select from pg_index as i
        where i.indexrelid = c.conindid
            and c.contype <> 'f'
            and not (i.indisvalid and i.indisready and i.indislive)
    ) as has_index
from relations as r
inner join pg_constraint as c on c.conrelid = r.oid
where r.relkind in ('r', 'p', 'f') and c.contype in ('c', 'f', 'p', 'u', 'x')
order by 1
