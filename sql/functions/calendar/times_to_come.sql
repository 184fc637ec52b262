create or replace function bookingdb.times_to_come(p_people uuid[])
returns setof bookingdb.calendar
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_to_come constant tstzrange := tstzrange(clock_timestamp(), timestamptz '3000-01-01 00:00:00+00');
begin
    return query
    select t.*
    from unnest(p_people) as p (id)
    -- Two look-ups, because two indexes cover them.
    cross join lateral (
        select c.*
        from bookingdb.calendar as c
        where c.client_id = p.id
            and c.period && v_to_come
            and c.kind in ('session', 'hold')
            and c.mirror_of is null
        union
        select c.*
        from bookingdb.calendar as c
        where c.therapist_id = p.id
            and c.blocked && v_to_come
            and c.kind in ('session', 'hold')
            and c.mirror_of is null
    ) as t
    where upper(t.period) > clock_timestamp();
end;
$function$;

comment on function bookingdb.times_to_come(uuid[]) is
'Returns the calendar rows of sessions and holds that these people have to come, as therapist or client, a row once for each of its people; mirrors are left out.';
