-- Triggers that keep an adopted application's tables in step, which are missing or switched off.
select a.object, a.adopted ->> 'statement' as statement
from bookingdb.adoption as a
where a.kind = 'statement'
    and starts_with(a.object, 'trigger bookingdb_')
    and not exists (
        select from pg_trigger as t
        where format('trigger %I on %s', t.tgname, t.tgrelid::regclass) = a.object
            and t.tgenabled in ('O', 'A')
    )
order by a.id
