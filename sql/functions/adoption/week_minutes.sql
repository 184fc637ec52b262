create or replace function bookingdb.week_minutes(p_therapist_id uuid, p_date date)
returns int4multirange
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    if not exists (select from bookingdb.weekly_hours as w where w.therapist_id = p_therapist_id)
        and not (bookingdb.policy_of(p_therapist_id)).require_hours then
        return '{[0,1440)}';
    end if;
    return coalesce((
        select range_agg(int4range(m.starts, m.ends + case when m.ends <= m.starts then 1440 else 0 end))
        from bookingdb.weekly_hours as w
        cross join lateral (
            select
                extract(epoch from w.start_time)::integer / 60 as starts,
                extract(epoch from w.end_time)::integer / 60 as ends
        ) as m
        where w.therapist_id = p_therapist_id
            and w.weekday = extract(isodow from p_date)
            and p_date between coalesce(w.valid_from, p_date) and coalesce(w.valid_to, p_date)
    ), '{}');
end;
$function$;

comment on function bookingdb.week_minutes(uuid, date) is
'Returns a therapist''s weekly hours that start on a date, in minutes from its midnight. Therapists without weekly hours who need none are there all day.';
