create or replace function bookingdb.ids_of_person(p_user_id uuid)
returns uuid[]
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return array(
        with recursive ids as (
            select coalesce(bookingdb.merged_into(p_user_id), p_user_id) as id
            union
            select b.from_user_id
            from ids as i
            -- offset 0: look-ups by id, whatever the statistics say.
            cross join lateral (
                select m.from_user_id from bookingdb.merged_people as m where m.into_user_id = i.id offset 0
            ) as b
        )

        select i.id
        from ids as i
        order by i.id <> coalesce(bookingdb.merged_into(p_user_id), p_user_id), i.id
    );
end;
$function$;

comment on function bookingdb.ids_of_person(uuid) is
'Returns the ids that a person has and had: first the one they have now, then those that were merged into it.';
