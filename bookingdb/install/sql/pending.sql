-- The history of a database that has one beside the files. One row: "problem", why the two contradict each other, or
-- null; "is_newer", whether that is because the database is newer than the files; "is_kept", whether tables that
-- `bookingdb uninstall --keep-data` left are to be taken up; "pending", the names of migrations not applied yet;
-- "reason", why functions, triggers, policies and grants must be applied, null where they need not.
with known (name, path, checksum) as (
    values
    :known
),

applied as (
    select h.name, h.checksum from bookingdb.history as h where h.kind = 'migration'
),

pending as (
    select k.name from known as k where not exists (select from applied as a where a.name = k.name)
),

latest as (
    select max(a.name collate "C") as name from applied as a
),

-- Each function set with the place of its first application: that is its age among those of one version.
function_sets as (
    select
        h.id,
        h.checksum,
        h.version,
        array(select jsonb_array_elements_text(h.details -> 'roles')) as roles,
        min(h.id) over (partition by h.checksum) as first_id
    from bookingdb.history as h
    where h.kind = 'functions' and not h.details ? 'kept'
),

function_set as (
    select s.id, s.checksum, s.version, s.roles, s.first_id, :recorded_key as version_key
    from function_sets as s
    order by s.id desc
    limit 1
),

-- Objects that were kept when the function set was taken out.
kept as (
    select k.object
    from bookingdb.history as h
    cross join lateral jsonb_array_elements_text(h.details -> 'kept') as k (object)
    where h.kind = 'functions' and h.details ? 'kept' and h.id > (select f.id from function_set as f)
),

-- The version decides. One version may have several sets while it is developed: the one that was replaced here is the
-- older one.
newer_set as (
    select f.version
    from function_set as f
    where f.checksum <> :'checksum'
        and (
            f.version_key > :'version_key'
            or (
                f.version_key = :'version_key'
                and exists (select from function_sets as s where s.checksum = :'checksum' and s.first_id < f.first_id)
            )
        )
),

unknown as (
    select a.name from applied as a where not exists (select from known as k where k.name = a.name)
),

roles as (
    select :granted_roles as present
)

select
    coalesce(
        -- A role that may read the history, but sees no row of it, would install a second time.
        case when row_security_active('bookingdb.history') then
            'row level security hides the history of the installation; use the owner''s role'
        end,
        -- The migrations would make the tables once more.
        case when not exists (select from bookingdb.history) then
            case when exists (
                select from pg_class as c
                inner join pg_namespace as n on n.oid = c.relnamespace
                where (n.nspname = 'bookingdb' or (n.nspname = 'public' and c.relname = any(:'public_tables')))
                    and c.relkind = 'r'
                    and c.relname <> 'history'
                    and pg_relation_size(c.oid) > 0
            ) then
                'bookingdb.history is empty, though other tables of bookingdb have rows: restore it from a backup'
            else
                'the tables of bookingdb are here and empty, as a schema-only restore leaves them: restore the rows,'
                ' too, as docs/operating.md says (Backups); or take the empty tables out with `bookingdb uninstall`,'
                ' and migrate again'
            end
        end,
        (
            select format(
                'the database is newer than this package: it has migration %s; upgrade the package bookingdb',
                min(u.name collate "C")
            )
            from unknown as u
            having count(*) > 0
        ),
        (
            select format(
                'the database is newer than this package: its functions are of bookingdb %s and replaced those of this'
                ' package (%s); upgrade the package, or put these back with `bookingdb migrate --downgrade`',
                n.version, :'version'
            )
            from newer_set as n
            where not :'downgrade'
        ),
        (
            select format(
                '`bookingdb uninstall --keep-data` left tables, of which something is missing: %s; put it back as it'
                ' was, from a backup if need be, and migrate again',
                string_agg(k.object, ', ' order by k.object collate "C")
            )
            from kept as k
            where not exists (
                select from (
                    :objects
                ) as o
                where o.name || o.remark = k.object
            )
            having count(*) > 0
        ),
        (
            select format(
                'sql/%s was changed after it had been applied; restore the file, and put the change'
                ' into a new migration',
                min(k.path collate "C")
            )
            from known as k
            inner join applied as a on a.name = k.name
            where a.checksum <> k.checksum
            having count(*) > 0
        ),
        (
            select format(
                'migration %s comes before %s, which is applied: number it anew',
                min(p.name collate "C"), l.name
            )
            from pending as p
            cross join latest as l
            where p.name collate "C" < l.name
            group by l.name
        )
    ) as problem,
    (exists (select from unknown) or exists (select from newer_set)) as is_newer,
    (select count(*) > 0 from kept) as is_kept,
    array(select p.name from pending as p order by p.name collate "C") as pending,
    case
        when f.checksum is null then :'reason_at_first'
        when exists (select from newer_set) then 'downgrade from ' || f.version
        when exists (select from kept) then 'the tables were kept'
        when f.checksum <> :'checksum' or exists (select from pending) then 'the files changed'
        when (
            :everybody_is_trusted
        ) then 'everybody is trusted: PUBLIC may act for anyone'
        when f.roles <> r.present then 'roles or who is trusted changed: ' || (
            select string_agg(c.role, ', ' order by c.role collate "C")
            from (
                select b.role, count(*) as count from unnest(f.roles || r.present) as b (role) group by b.role
            ) as c
            where c.count = 1
        )
        when :'reapply' then 'asked for'
    end as reason
from roles as r
left join function_set as f on true
