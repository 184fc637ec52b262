create or replace function bookingdb.require_one_place(p_from_id uuid, p_into_id uuid)
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_ids constant uuid[] := array(
        select c.id
        from bookingdb.calendar as c
        where c.client_id = p_from_id and c.kind in ('session', 'hold') and c.kind = 'session' and c.mirror_of is null
    ) || array(
        select a.id
        from bookingdb.absences as a
        where a.client_id = p_from_id
    );
    v_other record;
begin
    -- Sessions, and stand-ins of sessions that overlapped in an adopted database.
    select f.therapist_id, f.period, f.id as session_id, i.id as other_id
    into v_other
    from (
        select c.id, c.therapist_id, c.period
        from bookingdb.calendar as c
        where c.id = any (v_ids)
        union all
        select a.id, a.therapist_id, a.period
        from bookingdb.absences as a
        where a.id = any (v_ids)
    ) as f
    -- offset 0 makes each a look-up, because three indexes cover them.
    cross join lateral (
        (
            select coalesce(c.mirror_of, c.id) as id
            from bookingdb.calendar as c
            where c.client_id = p_into_id
                and c.period && f.period
                and c.kind in ('session', 'hold')
                and c.kind = 'session'
            offset 0
        )
        union all
        (
            select a.id
            from bookingdb.absences as a
            where a.client_id = p_into_id and a.period && f.period
            offset 0
        )
        union all
        -- A therapist who is a client as well. One who is their own client would be at two places, too.
        (
            select c.id
            from bookingdb.calendar as c
            where c.therapist_id = p_into_id
                and c.blocked && f.period
                and c.kind in ('session', 'hold')
                and c.kind = 'session'
                and c.mirror_of is null
                and (c.expires_at is null or c.expires_at > clock_timestamp())
            offset 0
        )
    ) as i
    where upper(f.period) > clock_timestamp()
    order by lower(f.period), f.id, i.id
    limit 1;
    if found then
        perform bookingdb.raise_error('client_conflict', bookingdb.period_context(
            v_other.therapist_id, v_other.period
        ) || jsonb_build_object(
            'rule', 'session', 'session_id', v_other.session_id, 'other_session_id', v_other.other_id
        ));
    end if;
end;
$function$;

comment on function bookingdb.require_one_place(uuid, uuid) is
'Refuses to make two clients one who have sessions at the same time, which is not over, in whichever part. Caller holds: the locks of both. Raises: client_conflict.';
