create or replace function bookingdb.merged_into(p_user_id uuid)
returns uuid
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return (
        with recursive later as (
            select m.into_user_id, 1 as place
            from bookingdb.merged_people as m
            where m.from_user_id = p_user_id
            union all
            select m.into_user_id, l.place + 1
            from later as l
            -- offset 0 makes it a look-up by id, whatever the statistics say.
            cross join lateral (
                select n.into_user_id
                from bookingdb.merged_people as n
                where n.from_user_id = l.into_user_id
                offset 0
            ) as m
        )

        select l.into_user_id
        from later as l
        order by l.place desc
        limit 1
    );
end;
$function$;

comment on function bookingdb.merged_into(uuid) is
'Returns who somebody is now, whose sessions and credits passed on; NULL for everybody else.';
