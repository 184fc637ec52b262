-- Drops the functions of the set applied last that this package's set does not have: all at once, they need each other.
do $newer$
declare
    v_functions constant text := (
        select string_agg(f.function::text, ', ' order by f.function)
        from (
            :recorded
        ) as f
        where not f.function = any(
            :defined
        )
    );
begin
    if v_functions is not null then
        execute 'drop routine ' || v_functions;
    end if;
end;
$newer$
