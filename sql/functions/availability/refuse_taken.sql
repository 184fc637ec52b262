create or replace function bookingdb.refuse_taken(
    p_therapist_id uuid,
    p_client_id uuid,
    p_period tstzrange,
    p_until timestamptz,
    p_time_zone text,
    p_buffer_before interval,
    p_buffer_after interval,
    p_step_minutes integer,
    p_offset_minutes integer,
    p_slot_anchor text,
    p_open_week tsmultirange,
    p_override_dates date[]
)
returns void
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
declare
    v_from constant timestamptz := lower(p_period);
    v_length constant interval := upper(p_period) - v_from;
    v_local constant timestamp := v_from at time zone p_time_zone;
    -- As a time of the week that open_week shows, which ends with its next Monday.
    v_of_week constant timestamp := timestamp '1900-01-01' + (v_local - date_trunc('week', v_local));
    v_has_hours constant boolean := p_open_week <> '{(,)}';
    v_span constant tstzrange := tstzrange(v_from, least(
        p_until,
        v_from + case
            -- Tonight nobody is there: the next days are searched, too.
            when v_has_hours then least(interval '72 hours', timestamp '1900-01-09' - v_length - v_of_week)
            else interval '24 hours'
        end
    ), '[]');
    v_around constant tstzrange := tstzrange(
        v_from - p_buffer_before, upper(v_span) + v_length + p_buffer_after, '[]'
    );
    v_step constant interval := make_interval(mins => p_step_minutes);
    v_origin timestamptz := v_from - v_local::time::interval + make_interval(mins => p_offset_minutes);
    -- The grid has its first point so many microseconds after midnight.
    v_grid constant bigint := p_step_minutes * 60000000::bigint;
    v_shift bigint;
    v_other_shift bigint;
    v_starts tstzmultirange;
    v_next_start timestamptz;
    v_rule text;
begin
    -- What is not so simple is left to require_free_time().
    if 1440 % p_step_minutes > 0
        or (v_from - interval '24 hours') at time zone p_time_zone <> v_local - interval '24 hours'
        or (v_from + interval '96 hours') at time zone p_time_zone <> v_local + interval '96 hours'
        or p_override_dates && array[
            v_local::date - 1, v_local::date, v_local::date + 1, v_local::date + 2, v_local::date + 3
        ] then
        return;
    end if;
    if v_has_hours then
        if p_slot_anchor = 'window' then
            select min(h.shift), max(h.shift)
            into v_shift, v_other_shift
            from (
                select (1000000 * date_part('epoch', h.start_time))::bigint % v_grid as shift
                from bookingdb.weekly_hours as h
                where h.therapist_id = p_therapist_id
                offset 0
            ) as h;
            if v_shift <> v_other_shift is not false then
                return;
            end if;
            v_origin := v_origin + interval '1 microsecond' * v_shift;
        end if;
    end if;

    -- As in free_starts(): with what it must be told, the call would be a fourth of a refusal.
    select
        tstzmultirange(v_span) - range_agg(b.starts),
        (
            array_agg(
                case when b.period && p_period then b.kind else 'buffer' end
                order by (b.period && p_period) desc, lower(b.period)
            ) filter (where b.starts @> v_from and b.kind is not null)
        )[1]
    into v_starts, v_rule
    from (
        select
            c.kind,
            c.period,
            tstzrange(lower(c.blocked) - v_length - p_buffer_after, upper(c.blocked) + p_buffer_before, '()') as starts
        from bookingdb.calendar as c
        where c.therapist_id = p_therapist_id
            and c.blocked && v_around
            and c.kind in ('session', 'hold')
            and (c.expires_at is null or c.expires_at > clock_timestamp())
        union all
        select
            a.kind,
            a.period,
            case a.kind
                when 'time_off' then tstzrange(lower(a.period) - v_length, upper(a.period), '()')
                else tstzrange(lower(a.period) - v_length - p_buffer_after, upper(a.period) + p_buffer_before, '()')
            end
        from bookingdb.absences as a
        where a.therapist_id = p_therapist_id and a.period && v_around
        union all
        select
            null,
            null,
            tstzrange(v_from + (lower(g.closed) - v_of_week) - v_length, v_from + (upper(g.closed) - v_of_week), '()')
        from unnest(case
            when v_has_hours then
                tsmultirange(tsrange(v_of_week, v_of_week + (upper(v_span) - v_from) + v_length)) - p_open_week
        end) as g (closed)
    ) as b;

    v_next_start := date_bin(v_step, lower(v_starts) + v_step - interval '1 microsecond', v_origin);
    while not v_starts @> v_next_start loop
        v_next_start := date_bin(
            v_step,
            lower(v_starts - tstzmultirange(tstzrange(null, v_next_start, '[]'))) + v_step - interval '1 microsecond',
            v_origin
        );
    end loop;
    if v_rule is not null and v_next_start is not null then
        perform bookingdb.raise_error('booking_conflict', jsonb_build_object(
            'therapist_id', p_therapist_id,
            'start_time', bookingdb.iso_utc(v_from),
            'end_time', bookingdb.iso_utc(upper(p_period)),
            'rule', v_rule,
            'time_zone', p_time_zone,
            'next_free', bookingdb.iso_utc(v_next_start)
        ) || case
            when v_rule = 'hold' then bookingdb.own_time_context(p_client_id, p_therapist_id, p_period, null)
            else '{}'
        end);
    end if;
end;
$function$;

comment on function bookingdb.refuse_taken(
    uuid, uuid, tstzrange, timestamptz, text, interval, interval, integer, integer, text, tsmultirange, date[]
) is
'Refuses a time that is taken, or returns, and require_free_time() must say. p_until: where the booking window ends. Caller knows: rules allow it; no limits or dated hours. Raises: booking_conflict.';
