create or replace function bookingdb.times_over(p_kind text, p_before timestamptz, p_limit integer)
returns setof tid
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_past constant tstzrange := tstzrange(p_before, null);
begin
    if p_kind = 'hold' then
        -- The index that keeps a client's holds apart has nothing but holds, most of them expired.
        return query
        select c.ctid
        from bookingdb.calendar as c
        where c.kind = 'hold'
            and c.client_id is not null
            and c.therapist_id is not null
            and c.expires_at <= clock_timestamp()
        order by c.client_id, c.therapist_id
        limit p_limit;
    elsif p_kind = 'session' then
        return query
        select c.ctid
        from bookingdb.therapists_in_calendar() as t (id)
        cross join lateral (
            select k.ctid
            from bookingdb.calendar as k
            where k.therapist_id = t.id
                and k.blocked << v_past
                and k.kind in ('session', 'hold')
                and k.kind = 'session'
                -- A mirror goes with its session.
                and k.mirror_of is null
                -- What waits for approval lapses first.
                and k.expires_at is null
            offset 0
        ) as c
        limit p_limit;
    else
        return query
        select c.ctid
        from bookingdb.therapists_in_calendar() as t (id)
        cross join lateral (
            select a.ctid
            from bookingdb.absences as a
            where a.therapist_id = t.id
                and a.period << v_past
                and a.kind = p_kind
                -- A stand-in of overlapping_sessions goes with its session.
                and a.external_source is distinct from 'adoption'
            offset 0
        ) as c
        limit p_limit;
    end if;
end;
$function$;

comment on function bookingdb.times_over(text, timestamptz, integer) is
'Returns where rows of a kind are that can go: expired holds and sessions of the calendar, absences (time_off, external), that ended before p_before. At most p_limit (NULL: all).';
