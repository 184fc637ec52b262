-- Makes the triggers (or policies) the wanted ones, and touches none that is: that takes strong locks. It looks when it
-- runs, after the migrations before it, which may have dropped a trigger with its function.
do $attachments$
declare
    v_statement text;
begin
    foreach v_statement in array array(
        with wanted ("table", name, definition, statement) as (
            values
            :wanted
        ),
        existing as (
            :attached
        )
        select s.statement
        from (
            select 1 as number, format('drop %s %s on %s', :'kind', e.name, e."table") as statement
            from existing as e
            where not exists (
                select from wanted as w where (w."table", w.name, w.definition) = (e."table", e.name, e.definition)
            )
            union all
            select 2, w.statement
            from wanted as w
            where not exists (
                select from existing as e where (w."table", w.name, w.definition) = (e."table", e.name, e.definition)
            )
            union all
            select 3, format('alter table %s enable row level security', t.name)
            from unnest(:'secured_tables') as t (name)
            inner join pg_class as c on c.oid = t.name::regclass
            where not c.relrowsecurity
        ) as s
        order by s.number
    )
    loop
        execute v_statement;
    end loop;
end;
$attachments$
