-- Remembers what the tables consist of, for record_migrations.
select set_config(
    'bookingdb.before_migrations',
    (
        select coalesce(jsonb_agg(to_jsonb(p)), '[]')::text
        from (
            :parts
        ) as p
    ),
    true
)
