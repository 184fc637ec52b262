create or replace function bookingdb.full_times(
    p_policy bookingdb.effective_policy,
    p_span tstzrange,
    p_except_id uuid,
    p_client_id uuid default null
)
returns table (rule text, period tstzrange)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
begin
    -- Eight days more on either side hold all days and weeks of the therapist's zone that overlap the span.
    return query
    select
        g.rule,
        tstzrange(
            bookingdb.wall_clock_instant(g.first_date, p_policy.time_zone),
            bookingdb.wall_clock_instant(g.first_date + g.days, p_policy.time_zone)
        )
    from (
        select n.rule, n.first_date, n.days
        from (
            -- Sessions that took place count; cancelled ones do not, nor those that nobody can approve any more.
            select (s.start_time at time zone p_policy.time_zone)::date as local_date
            from public.sessions as s
            where s.therapist_id = p_policy.therapist_id
                and s.start_time > lower(p_span) - interval '192 hours'
                and s.start_time < upper(p_span) + interval '192 hours'
                and s.status <> 'cancelled'
                and (s.status <> 'pending_approval' or least(s.approval_until, s.start_time) > clock_timestamp())
                and s.id is distinct from p_except_id
            union all
            select (lower(c.period) at time zone p_policy.time_zone)::date
            from bookingdb.calendar as c
            where c.therapist_id = p_policy.therapist_id
                and c.blocked && tstzrange(
                    lower(p_span) - interval '192 hours', upper(p_span) + interval '192 hours'
                )
                and c.kind = 'hold'
                and c.expires_at > clock_timestamp()
                and c.mirror_of is null
                and c.id is distinct from p_except_id
                and c.client_id is distinct from p_client_id
        ) as a
        cross join lateral (
            values
            ('maximum_sessions_per_day', a.local_date, 1, p_policy.maximum_sessions_per_day),
            (
                'maximum_sessions_per_week', a.local_date + 1 - extract(isodow from a.local_date)::integer, 7,
                p_policy.maximum_sessions_per_week
            )
        ) as n (rule, first_date, days, maximum)
        where n.maximum < 1000
        group by n.rule, n.first_date, n.days, n.maximum
        having count(*) >= n.maximum
    ) as g;
end;
$function$;

comment on function bookingdb.full_times(bookingdb.effective_policy, tstzrange, uuid, uuid) is
'Returns the days and weeks around a span in which a policy''s therapist has all the sessions and live holds that it allows, p_except_id and p_client_id''s hold left out. rule names the setting.';
