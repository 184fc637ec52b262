create or replace function bookingdb.return_old_times(
    p_old bookingdb.calendar[],
    p_ids uuid[],
    p_moved_ids uuid[]
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_in_the_way jsonb;
begin
    delete from bookingdb.calendar as c
    where c.id = any (p_ids) and c.kind = 'session';

    with in_the_way as (
        delete from bookingdb.calendar as c
        using unnest(p_old) as o
        where o.id = any (p_ids)
            and c.id = any (p_moved_ids)
            and c.kind = 'session'
            and (
                (c.therapist_id = o.therapist_id and c.blocked && o.blocked)
                or (c.client_id = o.client_id and c.period && o.period)
                -- A person is one, in whichever part.
                or (
                    (c.therapist_id = o.client_id or c.client_id = o.therapist_id)
                    and c.blocked && o.blocked
                )
            )
        returning c.id, c.therapist_id = o.therapist_id as is_same_therapist
    )
    select coalesce(jsonb_object_agg(
        w.id, case when w.is_same_therapist then 'booking_conflict' else 'client_conflict' end
    ), '{}')
    into v_in_the_way
    from in_the_way as w;

    insert into bookingdb.calendar
    select o.*
    from unnest(p_old) as o
    where o.id = any (p_ids);
    perform bookingdb.mirror_time(o.id, o.therapist_id, o.client_id)
    from unnest(p_old) as o
    where o.id = any (p_ids) and o.mirror_ids is not null;
    return v_in_the_way;
end;
$function$;

comment on function bookingdb.return_old_times(bookingdb.calendar[], uuid[], uuid[]) is
'Puts back the calendar rows of sessions that stay. Those that moved onto one lose theirs; their ids are returned, with the reason. Caller holds: the locks of all their people.';
