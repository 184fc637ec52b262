-- Autovacuum would analyse what was loaded while it is measured.
do $block$
declare
    v_table regclass;
begin
    for v_table in
        select c.oid
        from pg_class as c
        where c.relkind = 'r'
            and c.relnamespace::regnamespace::text in (
                'public', 'bookingdb', 'bookingdb_floor', 'bookingdb_ad_hoc', 'bookingdb_fair'
            )
    loop
        execute format('alter table %s set (autovacuum_enabled = false)', v_table);
    end loop;
end;
$block$;
