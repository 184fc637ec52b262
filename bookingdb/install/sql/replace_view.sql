-- Makes a view the wanted one, and leaves one alone that is: to replace it takes a lock that nobody reads beside.
do $view$
declare
    v_is_wanted boolean;
begin
    if to_regclass(:'view') is not null then
        execute :'other';
        select
            pg_get_viewdef(c.oid) = pg_get_viewdef(o.oid)
            and c.reloptions is null
            and not exists (
                select a.attname, a.atttypid, a.atttypmod, a.attcollation
                from pg_attribute as a
                where a.attrelid = c.oid
                except
                select a.attname, a.atttypid, a.atttypmod, a.attcollation
                from pg_attribute as a
                where a.attrelid = o.oid
            )
        into v_is_wanted
        from pg_class as c
        inner join pg_class as o on o.oid = to_regclass(:'other_view')
        where c.oid = to_regclass(:'view') and c.relkind = 'v';
        execute format('drop view %s', :'other_view');
    end if;
    if v_is_wanted is not true then
        execute :'statement';
    end if;
end;
$view$
