create or replace function bookingdb.free_times(
    p_policies bookingdb.effective_policy[],
    p_span tstzrange,
    p_length interval,
    p_except_id uuid,
    p_with_hours boolean,
    p_client_id uuid default null
)
returns setof bookingdb.free_time
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
begin
    -- The starts that hours allow to a session of this length, less those that the calendar forbids, less the days and
    -- weeks that are full.
    return query
    select
        t.therapist_id,
        case
            when o.open is null or o.open = '{(,)}' then tstzmultirange(p_span)
            -- The whole session lies within hours: it starts at the latest its length before they end.
            else tstzmultirange(p_span) * coalesce((
                select range_agg(tstzrange(lower(w.period), upper(w.period) - p_length, '[]'))
                from unnest(o.open) as w (period)
                where lower(w.period) <= upper(w.period) - p_length
            ), '{}')
        end
        - coalesce(
            case
                -- busy_times() for nobody in particular: the calls would be half of what a search costs.
                when p_client_id is null then (
                    select range_agg(s.starts)
                    from (
                        select tstzrange(
                            lower(c.blocked) - p_length - e.after, upper(c.blocked) + e.before, '()'
                        ) as starts
                        from bookingdb.calendar as c
                        where c.therapist_id = t.therapist_id
                            and c.blocked && e.around
                            and c.kind in ('session', 'hold')
                            and (c.expires_at is null or c.expires_at > clock_timestamp())
                            and c.id is distinct from p_except_id
                        union all
                        select case a.kind
                            when 'time_off' then tstzrange(lower(a.period) - p_length, upper(a.period), '()')
                            else tstzrange(lower(a.period) - p_length - e.after, upper(a.period) + e.before, '()')
                        end
                        from bookingdb.absences as a
                        where a.therapist_id = t.therapist_id
                            and a.period && e.around
                            and a.id is distinct from p_except_id
                    ) as s
                )
                else (
                    select range_agg(b.starts)
                    from bookingdb.busy_times(t, p_span, p_length, p_except_id, p_client_id) as b
                )
            end,
            '{}'
        )
        - case
            when least(t.maximum_sessions_per_day, t.maximum_sessions_per_week) < 1000 then coalesce((
                select range_agg(f.period)
                from bookingdb.full_times(t, p_span, p_except_id, p_client_id) as f
            ), '{}')
            else '{}'
        end,
        o.windows
    from unnest(p_policies) as t
    cross join lateral (
        select
            make_interval(mins => t.buffer_before_minutes) as before,
            make_interval(mins => t.buffer_after_minutes) as after,
            tstzrange(
                lower(p_span) - make_interval(mins => t.buffer_before_minutes),
                upper(p_span) + p_length + make_interval(mins => t.buffer_after_minutes), '[]'
            ) as around
        -- offset 0: computed once, not wherever it is named.
        offset 0
    ) as e
    left join bookingdb.opening_times(
        case when p_with_hours then p_policies else '{}' end, lower(p_span), upper(p_span) + p_length, true
    ) as o on o.therapist_id = t.therapist_id;
end;
$function$;

comment on function bookingdb.free_times(bookingdb.effective_policy[], tstzrange, interval, uuid, boolean, uuid) is
'Returns the starts of a span at which each policy''s therapist is free, as sets: opening_times() less busy_times() and full_times(). The caller checks the booking window. is_free() asks for one.';
