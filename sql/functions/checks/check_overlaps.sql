create or replace function bookingdb.check_overlaps()
returns table (invariant integer, subject_id uuid, problem text, context jsonb)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_indexscan = off
set enable_indexonlyscan = off
set enable_bitmapscan = off
set enable_nestloop = off
as $function$
begin
    -- No two calendar rows of one therapist overlap in blocked, none of one client in period. Each row is compared
    -- with the latest end before it.
    return query
    select 1, o.id, 'overlaps another calendar row of the ' || o.part, jsonb_build_object(
        'person_id', o.person_id, 'other_id', o.other_id
    )
    from (
        select 'therapist' as part, c.therapist_id as person_id, c.id, c.blocked as taken,
            lag(c.id) over w as other_id,
            max(upper(c.blocked)) over (w rows between unbounded preceding and 1 preceding) as taken_until
        from bookingdb.calendar as c
        where c.kind in ('session', 'hold') and c.therapist_id is not null
        window w as (partition by c.therapist_id order by lower(c.blocked), c.id)
        union all
        select 'client', c.client_id, c.id, c.period,
            lag(c.id) over w,
            max(upper(c.period)) over (w rows between unbounded preceding and 1 preceding)
        from bookingdb.calendar as c
        where c.kind in ('session', 'hold') and c.client_id is not null
        window w as (partition by c.client_id order by lower(c.period), c.id)
    ) as o
    where lower(o.taken) < o.taken_until;

    -- Nobody is at two places, as a therapist at one and as a client at the other.
    return query
    select 1, o.id, 'overlaps a calendar row in which the ' || case when o.is_client then 'client is the therapist' else
        'therapist is the client' end, jsonb_build_object('person_id', o.person_id)
    from (
        select p.person_id, p.is_client, p.id, p.period,
            max(upper(p.period)) filter (where p.is_client) over w as client_until,
            max(upper(p.period)) filter (where not p.is_client) over w as therapist_until
        from (
            select c.therapist_id as person_id, false as is_client, c.id, c.period
            from bookingdb.calendar as c
            where c.kind in ('session', 'hold')
                and c.mirror_of is null
                and c.client_id is distinct from c.therapist_id
                and c.therapist_id is not null
                and (c.expires_at is null or c.expires_at > clock_timestamp())
            union all
            select c.client_id, true, c.id, c.period
            from bookingdb.calendar as c
            where c.kind in ('session', 'hold')
                and c.mirror_of is null
                and c.client_id is distinct from c.therapist_id
                and c.client_id is not null
                and (c.expires_at is null or c.expires_at > clock_timestamp())
        ) as p
        window w as (
            partition by p.person_id order by lower(p.period), p.id rows between unbounded preceding and 1 preceding
        )
    ) as o
    where lower(o.period) < case when o.is_client then o.therapist_until else o.client_until end;
end;
$function$;

comment on function bookingdb.check_overlaps() is
'Invariant 1: returns the calendar rows that overlap an earlier one of their therapist or client, in whichever part.';
