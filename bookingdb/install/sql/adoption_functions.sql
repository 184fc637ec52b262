-- Makes the functions that only an adopted database needs, and drops them where nothing needs them any more.
do $adoption$
declare
    v_statement text;
    v_dropped text;
begin
    if (
        :is_needed
    ) then
        foreach v_statement in array :'functions'
        loop
            execute v_statement;
        end loop;
    else
        v_dropped := (
            select string_agg(f.function::text, ', ' order by f.function)
            from (
                :present
            ) as f
        );
        if v_dropped is not null then
            execute 'drop routine ' || v_dropped;
        end if;
    end if;
end;
$adoption$
