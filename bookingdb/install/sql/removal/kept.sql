-- The row of the history by which `migrate` knows that tables were kept, and what they were.
select format(
    'insert into bookingdb.history (kind, name, checksum, version, details) values (%L, %L, %L, %L, %L)',
    'functions',
    'uninstalled',
    '',
    h.version,
    h.details || jsonb_build_object(
        'functions',
        '[]'::jsonb,
        'trusted',
        (
            select coalesce(jsonb_agg(jsonb_build_object('name', r.rolname, 'oid', r.oid) order by r.rolname), '[]')
            from (:trusted) as t
            inner join pg_roles as r on r.rolname = t.name
        ),
        'kept',
        (
            select jsonb_agg(o.name || o.remark order by o.name collate "C")
            from (
                :objects
            ) as o
            where o.name = any(:'ours')
        ),
        'evidence',
        (
            :evidence
        )
    )
) as statement
from bookingdb.history as h
where h.kind = 'functions'
order by h.id desc
limit 1
