-- Lists the exceptions that bookingdb does not understand: the row, its therapist, what is wrong.
select
    r.row_key::text,
    r.content ->> (:'columns'::jsonb ->> 'therapist') as therapist_id,
    string_agg(p.problem, '; ' order by p.problem) as problems
from pg_temp.adopted_rows(:'table', :'columns', null) as r
cross join lateral (
    select o.problem
    from pg_temp.override_parts(r.content, :'columns') as o
    where o.problem is not null
    union all
    select 'the therapist''s id is no UUID'
    where r.therapist_id is null
    union all
    select 'the date is none between 1900 and 2999'
    where pg_temp.date_of(r.content ->> (:'columns'::jsonb ->> 'date')) is null
) as p
group by r.row_key, r.content
order by 2, 1
