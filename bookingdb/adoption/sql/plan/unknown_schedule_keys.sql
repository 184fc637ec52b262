-- Lists the keys of an application's weekly documents that bookingdb does not read: where they stand, how many
-- therapists have them, and one of the values.
select k.place, count(distinct s.therapist_id) as therapists, left(min(k.content::text), 60) as sample
from pg_temp.adopted_schedules(:'table', :'columns', null) as s
cross join lateral (
    select pg_temp.schedule_document(s.content -> (:'columns'::jsonb ->> 'document')) as content
) as d
cross join lateral (
    select t.key as place, t.value as content
    from jsonb_each(case jsonb_typeof(d.content) when 'object' then d.content end) as t
    where t.key not in ('standardHours', 'sessionSettings')
    union all
    select 'sessionSettings.' || t.key as place, t.value as content
    from jsonb_each(
        case jsonb_typeof(d.content -> 'sessionSettings') when 'object' then d.content -> 'sessionSettings' end
    ) as t
    where t.key <> 'bufferTime'
    union all
    select 'standardHours.*.' || p.place || p.key as place, p.value as content
    from jsonb_each(
        case jsonb_typeof(d.content -> 'standardHours') when 'object' then d.content -> 'standardHours' end
    ) as y
    cross join lateral (
        select '' as place, t.key, t.value
        from jsonb_each(case jsonb_typeof(y.value) when 'object' then y.value end) as t
        where t.key not in ('enabled', 'generalHours', 'timeSlots', 'customSlots')
        union all
        select 'generalHours.' as place, t.key, t.value
        from jsonb_each(
            case jsonb_typeof(y.value -> 'generalHours') when 'object' then y.value -> 'generalHours' end
        ) as t
        where t.key not in ('start', 'end')
        union all
        select l.list || '.' as place, t.key, t.value
        from (values ('timeSlots'), ('customSlots')) as l (list)
        cross join lateral jsonb_array_elements(
            case jsonb_typeof(y.value -> l.list) when 'array' then y.value -> l.list end
        ) as e (slot)
        cross join lateral jsonb_each(case jsonb_typeof(e.slot) when 'object' then e.slot end) as t
        where t.key not in (
            'start', 'start_time', 'startTime', 'end', 'end_time', 'endTime', 'isAvailable', 'is_available', 'type',
            'id'
        )
    ) as p
    where not pg_temp.is_break(p.key)
) as k
where k.content <> 'null'
group by k.place
order by 2 desc, 1
