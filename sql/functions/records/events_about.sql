create or replace function bookingdb.events_about(p_subject_id uuid, p_moments timestamptz[])
returns setof bookingdb.outbox
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    c_leeway constant interval := interval '1 second';
    v_moment timestamptz;
    v_low bigint := 0;
    v_high bigint;
    v_middle bigint;
    v_event bookingdb.outbox;
begin
    -- An index on subject_id would cost every booking. Ids rise with created_at, up to transactions that write at the
    -- same moment, so the place of a moment is found by halving, with a look-up of the primary key a step.
    foreach v_moment in array array(select distinct m.moment from unnest(p_moments) as m (moment) order by 1) loop
        v_high := 1 + coalesce((
            select e.id from bookingdb.outbox as e where e.id >= v_low order by e.id desc limit 1
        ), 0);
        while v_low < v_high loop
            v_middle := v_low + (v_high - v_low) / 2;
            select e.*
            into v_event
            from bookingdb.outbox as e
            where e.id >= v_middle
            order by e.id
            limit 1;
            if v_event.created_at < v_moment - c_leeway then
                v_low := v_event.id + 1;
            else
                v_high := v_middle;
            end if;
        end loop;
        for v_event in
            select e.*
            from bookingdb.outbox as e
            where e.id >= v_low
            order by e.id
        loop
            exit when v_event.created_at > v_moment + c_leeway;
            v_low := v_event.id + 1;
            if v_event.subject_id = p_subject_id or v_event.payload ->> 'session_id' = p_subject_id::text then
                return next v_event;
            end if;
        end loop;
    end loop;
end;
$function$;

comment on function bookingdb.events_about(uuid, timestamptz[]) is
'Returns the events about a session (or hold) that were written within a second of these timestamps, and are still there.';
