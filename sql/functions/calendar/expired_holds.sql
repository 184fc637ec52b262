create or replace function bookingdb.expired_holds(p_people uuid[], p_times tstzmultirange)
returns uuid[]
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return array(
        select h.id
        from unnest(p_people) as p (id)
        -- Two look-ups, because two indexes cover them. A mirror goes with its row.
        cross join lateral (
            select coalesce(c.mirror_of, c.id) as id
            from bookingdb.calendar as c
            where c.therapist_id = p.id
                and c.blocked && p_times
                and c.kind = 'hold'
                and c.expires_at <= clock_timestamp()
            union all
            select coalesce(c.mirror_of, c.id) as id
            from bookingdb.calendar as c
            where c.client_id = p.id
                and c.period && p_times
                and c.kind = 'hold'
                and c.expires_at <= clock_timestamp()
        ) as h
    );
end;
$function$;

comment on function bookingdb.expired_holds(uuid[], tstzmultirange) is
'Returns the ids of expired holds of these people, in either part, that overlap these times, for remove_held_times(). Caller holds: the locks of the people.';
