create or replace function bookingdb.give_up_times(p_from_id uuid, p_into_id uuid)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_now constant timestamptz := clock_timestamp();
    v_hold_ids uuid[];
    v_hold_id uuid;
begin
    -- Requests whose time has come are nobody's any more.
    perform bookingdb.lapse_sessions(array(
        select distinct c.id
        from unnest(array[p_from_id, p_into_id]) as p (id)
        -- offset 0 makes each a look-up, whatever the statistics say.
        cross join lateral (
            select coalesce(k.mirror_of, k.id) as id
            from bookingdb.calendar as k
            where k.client_id = p.id and k.kind in ('session', 'hold') and k.kind = 'session' and k.expires_at <= v_now
            offset 0
        ) as c
    ), true);
    v_hold_ids := array(
        select c.id
        from bookingdb.calendar as c
        where c.client_id = p_from_id and c.therapist_id is not null and c.kind = 'hold'
    ) || array(
        select c.id
        from bookingdb.calendar as c
        where c.client_id = p_into_id
            and c.therapist_id is not null
            and c.kind = 'hold'
            and exists (
                select from bookingdb.calendar as s
                where s.client_id = p_from_id and s.period && c.period and s.kind in ('session', 'hold')
                offset 0
            )
    );

    -- Those of the other one as a therapist, who they may be, too, may be in the way of mirrors, which remove them when
    -- they have expired: all are locked together.
    perform bookingdb.lock_held_times(v_hold_ids || bookingdb.holds_within(array[p_into_id], (
        select range_agg(c.period)
        from bookingdb.calendar as c
        where c.client_id = p_from_id and c.kind in ('session', 'hold') and c.kind = 'session'
    )));
    perform bookingdb.remove_held_times(v_hold_ids);
    foreach v_hold_id in array v_hold_ids loop
        update bookingdb.holds as h
        set released_at = v_now
        where h.id = v_hold_id and h.released_at is null and h.expires_at > v_now;
        if found then
            perform bookingdb.write_hold_event('hold.released', v_hold_id);
        end if;
    end loop;

    -- The two may have had two sessions at a time that is over: as after housekeeping(), it is in no calendar.
    delete from bookingdb.calendar as c
    where c.client_id = p_from_id
        and c.kind in ('session', 'hold')
        and c.kind = 'session'
        and c.expires_at is null
        and upper(c.blocked) <= v_now;
end;
$function$;

comment on function bookingdb.give_up_times(uuid, uuid) is
'Releases the holds of a client who is merged, and those of the other one that are in the way; times that are over leave the calendar. Caller holds: the locks of both people.';
