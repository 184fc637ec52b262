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
end;
$function$;

comment on function bookingdb.check_overlaps() is
'Invariant 1: returns the calendar rows that overlap an earlier one of their therapist or client.';
