create or replace function bookingdb.effective_rules(p_people uuid[], p_with_hours uuid[])
returns setof bookingdb.rules
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    d bookingdb.policies;
begin
    select p.*
    into d
    from bookingdb.policies as p
    where p.therapist_id is null;
    if not found then
        return;
    end if;
    return query
    select
        e.therapist_id,
        e.has_hours,
        -- 1000 means no limit.
        least(
            e.maximum_sessions_per_day, e.maximum_sessions_per_week,
            e.maximum_open_sessions, e.maximum_client_sessions_per_week
        ) >= 1000 and e.credits_valid_on = 'booking',
        make_interval(mins => e.buffer_before_minutes),
        make_interval(mins => e.buffer_after_minutes),
        e.:name -- for each setting
    from (
        select
            i.id as therapist_id,
            h.id is not null as has_hours,
            coalesce(o.:name, d.:name) as :name -- for each setting
        from (select distinct p.id from unnest(p_people) as p (id)) as i
        -- The second condition keeps this from reading every policy.
        left join bookingdb.policies as o on o.therapist_id = i.id and o.therapist_id = any (p_people)
        left join unnest(p_with_hours) as h (id) on h.id = i.id
        where o.id is not null or h.id is not null or i.id = '00000000-0000-0000-0000-000000000000'
    ) as e;
end;
$function$;

comment on function bookingdb.effective_rules(uuid[], uuid[]) is
'Computes the rows that bookingdb.rules must have for these people, from policies and from who of them has hours (people_with_hours).';
