create or replace function bookingdb.adopted_schedules(p_table regclass, p_columns jsonb, p_therapist_id uuid)
returns table (
    therapist_id uuid,
    row_key jsonb,
    content jsonb,
    document jsonb,
    problems text[]
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select
        a.therapist_id,
        a.row_key,
        a.content,
        a.document,
        array(
            select 'the therapist''s id is no UUID'
            where a.therapist_id is null
            union all
            select 'the therapist has several schedules'
            where a.therapist_id is not null and a.schedules > 1
            union all
            select 'it does not say whether it is active'
            where a.active <> 'true'
            union all
            select format('the table has no column "%s"', p_columns ->> 'document')
            where not a.content ? (p_columns ->> 'document')
            union all
            select w.problem
            from bookingdb.schedule_windows(a.document) as w
            where w.problem is not null
        )
    from (
        select
            r.therapist_id,
            r.row_key,
            r.content,
            bookingdb.schedule_as_obeyed(r.content -> (p_columns ->> 'document'), p_columns) as document,
            v.active,
            count(*) over (partition by r.therapist_id) as schedules
        from bookingdb.adopted_rows(p_table, p_columns, p_therapist_id) as r
        cross join lateral (
            select case
                when p_columns ? 'active' then coalesce(lower(r.content ->> (p_columns ->> 'active')), '')
                else 'true'
            end as active
        ) as v
        where v.active <> 'false'
    ) as a;
end;
$function$;

comment on function bookingdb.adopted_schedules(regclass, jsonb, uuid) is
'Returns the active schedules of an application''s table (p_therapist_id NULL: of all), as far as they count, and why they cannot be adopted. p_columns: arguments of schedules_changed().';
