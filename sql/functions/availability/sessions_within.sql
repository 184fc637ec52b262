create or replace function bookingdb.sessions_within(p_therapist_id uuid, p_periods tstzrange[])
returns uuid[]
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return array(
        select s.id
        from (
            -- offset 0 makes each period a look-up in the index.
            select distinct c.id, lower(c.period) as start_time
            from unnest(p_periods) as p (period)
            cross join lateral (
                select k.id, k.period
                from bookingdb.calendar as k
                where k.therapist_id = p_therapist_id
                    and k.blocked && p.period
                    and k.kind in ('session', 'hold')
                    and k.kind = 'session'
                    and k.mirror_of is null
                offset 0
            ) as c
            where c.period && p.period
        ) as s
        order by s.start_time, s.id
    );
end;
$function$;

comment on function bookingdb.sessions_within(uuid, tstzrange[]) is
'Returns the ids of a therapist''s sessions that overlap one of these periods, by start.';
