create or replace function bookingdb.holds_within(p_people uuid[], p_times tstzmultirange)
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
            where c.therapist_id = p.id and c.blocked && p_times and c.kind = 'hold'
            union all
            select coalesce(c.mirror_of, c.id) as id
            from bookingdb.calendar as c
            where c.client_id = p.id and c.period && p_times and c.kind = 'hold'
        ) as h
    );
end;
$function$;

comment on function bookingdb.holds_within(uuid[], tstzmultirange) is
'Returns the ids of holds of these people, in either part, that overlap these times, expired ones included. Caller holds: the locks of the people.';
