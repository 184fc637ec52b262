create or replace function bookingdb.people_with_text(p_text text, p_limit integer)
returns bookingdb.people[]
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_text constant text := lower(p_text);
begin
    -- Everybody is read: an index of parts of words needs an extension. The database's collation compares, because an
    -- application's column may have one that finds no parts.
    return array(
        select p
        from bookingdb.people as p
        cross join lateral (
            select
                lower(coalesce(p.full_name, '')::text collate "default") as full_name,
                lower(coalesce(p.email, '')::text collate "default") as email
        ) as w
        where strpos(w.full_name, v_text) > 0 or strpos(w.email, v_text) > 0
        order by
            w.full_name = v_text desc,
            starts_with(w.full_name, v_text) desc,
            strpos(' ' || w.full_name, ' ' || v_text) > 0 desc,
            strpos(w.full_name, v_text) > 0 desc,
            starts_with(w.email, v_text) desc,
            p.is_active desc,
            w.full_name,
            w.email,
            p.id
        limit p_limit
    );
end;
$function$;

comment on function bookingdb.people_with_text(text, integer) is
'Returns people in whose name or e-mail address a text occurs, whole names first, then beginnings of names and of their words.';
