create or replace function bookingdb.busy_times(
    p_policy bookingdb.effective_policy,
    p_span tstzrange,
    p_length interval,
    p_except_id uuid,
    p_client_id uuid default null
)
returns setof bookingdb.busy_time
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
declare
    v_before constant interval := make_interval(mins => p_policy.buffer_before_minutes);
    v_after constant interval := make_interval(mins => p_policy.buffer_after_minutes);
    v_period constant tstzrange := tstzrange(lower(p_span) - v_before, upper(p_span) + p_length + v_after, '[]');
begin
    -- A row from x to y forbids starts after x - length and before y, both extended by the new session's buffers. (The
    -- row's own are in blocked.) Time off needs no buffer.
    return query
    select c.kind, c.period, tstzrange(lower(c.blocked) - p_length - v_after, upper(c.blocked) + v_before, '()')
    from bookingdb.calendar as c
    where c.therapist_id = p_policy.therapist_id
        and c.blocked && v_period
        and c.kind in ('session', 'hold')
        and (c.expires_at is null or c.expires_at > clock_timestamp())
        -- A client's own hold with the therapist is theirs to book, and another one replaces it.
        and (c.kind = 'session' or c.client_id is distinct from p_client_id or c.mirror_of is not null)
        and c.id is distinct from p_except_id
    union all
    select a.kind, a.period, case a.kind
        when 'time_off' then tstzrange(lower(a.period) - p_length, upper(a.period), '()')
        else tstzrange(lower(a.period) - p_length - v_after, upper(a.period) + v_before, '()')
    end
    from bookingdb.absences as a
    where a.therapist_id = p_policy.therapist_id
        and a.period && v_period
        -- The stand-in for a session of an adopted database has that session's id.
        and a.id is distinct from p_except_id;

    -- What the client has with anybody, as client_conflict() looks for it: buffers are the therapist's.
    if p_client_id is not null then
        return query
        select c.kind, c.period, tstzrange(lower(c.period) - p_length, upper(c.period), '()')
        from bookingdb.calendar as c
        where c.client_id = p_client_id
            and c.period && v_period
            and c.kind in ('session', 'hold')
            and (c.expires_at is null or c.expires_at > clock_timestamp())
            and (c.kind = 'session' or c.therapist_id is distinct from p_policy.therapist_id)
            and c.id is distinct from p_except_id
        union all
        select a.kind, a.period, tstzrange(lower(a.period) - p_length, upper(a.period), '()')
        from bookingdb.absences as a
        where a.client_id = p_client_id
            and a.period && v_period
            and a.id is distinct from p_except_id
        union all
        -- A client who is a therapist is not elsewhere, either. (Mirrors are above.)
        select c.kind, c.period, tstzrange(lower(c.blocked) - p_length, upper(c.blocked), '()')
        from bookingdb.calendar as c
        where c.therapist_id = p_client_id
            and c.blocked && v_period
            and c.kind in ('session', 'hold')
            and c.mirror_of is null
            and (c.expires_at is null or c.expires_at > clock_timestamp())
            and c.id is distinct from p_except_id;
    end if;
end;
$function$;

comment on function bookingdb.busy_times(bookingdb.effective_policy, tstzrange, interval, uuid, uuid) is
'Returns what a policy''s therapist has around a span but p_except_id, each with the starts it forbids, by overlap or buffers. For p_client_id also what they have, less their hold with the therapist.';
