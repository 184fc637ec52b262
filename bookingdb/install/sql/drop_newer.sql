-- Drops the functions of the set applied last that this package's set does not have: all at once, they need each other.
do $newer$
declare
    v_functions constant text := (
        select string_agg(f.function::text, ', ' order by f.function)
        from (
            select to_regprocedure(r.signature) as function
            from jsonb_array_elements_text(
                (
                    select h.details -> 'functions'
                    from bookingdb.history as h
                    where h.kind = 'functions'
                    order by h.id desc
                    limit 1
                )
            ) as r (signature)
        ) as f
        where not f.function = any(
            select to_regprocedure(s.signature)
            from unnest(:'signatures') as s (signature)
            where to_regprocedure(s.signature) is not null
        )
    );
begin
    if v_functions is not null then
        execute 'drop routine ' || v_functions;
    end if;
end;
$newer$
