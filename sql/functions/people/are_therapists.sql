create or replace function bookingdb.are_therapists(p_people uuid[])
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return not exists (
        select from unnest(p_people) as i (id)
        where i.id is not null
            -- offset 0 makes each a look-up by id, whatever the statistics say.
            and not exists (select from bookingdb.therapists as t where t.id = i.id offset 0)
    );
end;
$function$;

comment on function bookingdb.are_therapists(uuid[]) is
'Says whether all of these people can be booked. Hours deleted with their therapist must not wait for a booking, which goes on to read that therapist''s row.';
