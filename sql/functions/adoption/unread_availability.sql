create or replace function bookingdb.unread_availability(p_kind text, p_table regclass, p_columns jsonb)
returns table (
    table_name text,
    row_key jsonb,
    therapist_id text,
    override_date text,
    problem text
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    if p_kind = 'schedules' then
        return query
        select p_table::text, s.row_key, s.content ->> (p_columns ->> 'therapist'), null::text, p.text
        from bookingdb.adopted_schedules(p_table, p_columns, null) as s
        cross join lateral (
            select u.text from unnest(s.problems) as u (text)
            union all
            select b.problem from bookingdb.schedule_buffer(s.document) as b where b.problem is not null
        ) as p
        order by 3, 2, 5;
        return;
    end if;

    return query
    with adopted as (
        select
            r.therapist_id as person,
            bookingdb.date_of(r.content ->> (p_columns ->> 'date')) as on_date,
            r.row_key as id,
            r.content,
            array(
                select p.problem
                from bookingdb.override_parts(r.content, p_columns) as p
                where p.problem is not null
            ) as problems
        from bookingdb.adopted_rows(p_table, p_columns, null) as r
    ),
    -- Problems that only show when all rows of a date are combined.
    together as (
        select a.person, a.on_date, w.problem
        from (
            select d.person, d.on_date, jsonb_agg(d.content) as contents
            from adopted as d
            where d.person is not null and d.on_date is not null
            group by d.person, d.on_date
            having bool_and(d.problems = '{}')
        ) as a
        cross join lateral bookingdb.override_windows(
            a.contents, p_columns, bookingdb.week_minutes(a.person, a.on_date)
        ) as w
        where w.problem is not null
    )
    select
        p_table::text,
        a.id,
        a.content ->> (p_columns ->> 'therapist'),
        a.content ->> (p_columns ->> 'date'),
        p.text
    from adopted as a
    cross join lateral (
        select 'the therapist''s id is no UUID' as text where a.person is null
        union all
        select 'the date is none between 1900 and 2999' where a.on_date is null
        union all
        select u.text from unnest(a.problems) as u (text)
    ) as p
    union all
    select
        p_table::text,
        a.id,
        a.content ->> (p_columns ->> 'therapist'),
        a.content ->> (p_columns ->> 'date'),
        t.problem
    from together as t
    inner join adopted as a on a.person = t.person and a.on_date = t.on_date
    order by 3, 4, 2, 5;
end;
$function$;

comment on function bookingdb.unread_availability(text, regclass, jsonb) is
'Returns the rows of an application''s availability table that cannot be adopted, even if only for their buffer, and why. p_kind: schedules or overrides; p_columns as for the trigger.';
