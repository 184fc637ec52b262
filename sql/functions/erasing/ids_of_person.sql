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
            select m.from_user_id
            from ids as i
            inner join bookingdb.merged_people as m on m.into_user_id = i.id
        )

        select i.id
        from ids as i
        order by i.id <> coalesce(bookingdb.merged_into(p_user_id), p_user_id), i.id
    );
end;
$function$;

comment on function bookingdb.ids_of_person(uuid) is
'Returns the ids that a person has and had: first the one they have now, then those that were merged into it.';
