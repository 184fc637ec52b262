create or replace function bookingdb.people_changed()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_people uuid[];
    v_all_stay boolean := false;
begin
    if tg_op = 'DELETE' then
        v_people := array(select o.id from old_rows as o);
    else
        v_all_stay := not exists (
            select from old_rows as o
            where not exists (select from new_rows as n where n.id = o.id)
        );
        v_people := array(
            select o.id
            from old_rows as o
            left join new_rows as n on n.id = o.id
            where n.id is null
                or (n.user_type, n.is_active, n.is_verified) is distinct from (o.user_type, o.is_active, o.is_verified)
        );
    end if;

    if cardinality(v_people) > 0 then
        -- A deletion does not wait, nor does a change of the id: a booking that holds the person's lock goes on to look
        -- at the row (by its foreign key) that is locked here already, so the two would wait for each other.
        perform bookingdb.lock_people(v_people, p_wait => v_all_stay);
    end if;
    return null;
end;
$function$;

comment on function bookingdb.people_changed() is
'Trigger of the adapter standalone: a change of who can be booked or book waits for the bookings in flight, and they for it; a deletion is refused while there are any. Raises busy.';
