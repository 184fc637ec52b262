-- Why nothing can be installed in a database without bookingdb, or with tables that were kept: one row, a sentence or
-- null.
select case
    when o.version < :'minimum_version' * 10000 then format(
        'this server is Postgres %s; bookingdb needs %s or later', o.version / 10000, :'minimum_version'
    )
    when o.intruder is not null then format(
        'the schema bookingdb is there already and %s; bookingdb needs a schema of that name for itself%s',
        o.intruder,
        case when to_regclass('bookingdb.ledger') is not null then
            ', and it has a ledger: restore bookingdb.history, which is missing, from a backup'
        end
    )
    when o.found is not null then format(
        'the database already has %s; bookingdb installs beside nothing of the same name%s',
        o.found,
        case when not :is_kept then
            ': `bookingdb adopt --plan` shows what taking over the application''s tables would do'
        end
    )
end
from (
    select
        current_setting('server_version_num')::integer as version,
        -- An owner of the schema, or of a function that ours would replace, could change it afterwards.
        (
            select 'belongs to ' || pg_get_userbyid(n.nspowner)
            from pg_namespace as n
            where n.nspname = 'bookingdb' and n.nspowner <> current_user::regrole and not :is_kept
            union all
            select 'is not empty'
            from pg_depend as d
            inner join pg_namespace as n on n.oid = d.refobjid
            where d.refclassid = 'pg_namespace'::regclass and n.nspname = 'bookingdb' and not :is_kept
            limit 1
        ) as intruder,
        (
            select string_agg(f.name, ', ' order by f.name collate "C")
            from (
                select 'table public.' || c.relname as name
                from pg_class as c
                inner join pg_namespace as n on n.oid = c.relnamespace
                where n.nspname = 'public' and c.relname = any(:'public_tables') and not :is_kept
                union all
                select 'function ' || p.oid::regprocedure
                from pg_proc as p
                inner join pg_namespace as n on n.oid = p.pronamespace
                where n.nspname = 'public' and p.proname = any(:'public_functions')
            ) as f
        ) as found
) as o
