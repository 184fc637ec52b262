create or replace function bookingdb.move_quickly(
    p_session_id uuid,
    p_session_date date,
    p_session_time time,
    p_duration_minutes integer,
    p_time_zone text
)
returns bookingdb.changed_session
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_now constant timestamptz := clock_timestamp();
    v_local timestamp;
    v_actor_id uuid;
    v_user_id uuid;
    v_therapist_id uuid;
    v_old_start timestamptz;
    v_old_end timestamptz;
    v_old_free_until timestamptz;
    v_notice_given interval;
    v_minutes integer;
    v_rules record;
    v_start timestamptz;
    v_end timestamptz;
    v_blocked tstzrange;
    v_free_until timestamptz;
    v_kept_until timestamptz;
    v_moved bookingdb.changed_session;
begin
    -- This is reschedule_session() for what is moved mostly: an agreed session that has not begun, to a time that is
    -- free beyond any doubt; by its client only once, and in time. In any doubt it returns NULL, and then the rules
    -- decide one by one, and say what they refuse. (They stand here twice: the functions that ask them would be 1,900
    -- thousand of 4,200 thousand instructions.)
    if not bookingdb.acts_for_anyone() then
        v_actor_id := bookingdb.actor_id();
        if v_actor_id is null then
            return null;
        end if;
    end if;

    -- 1. Formats and ranges, and the locks, if they are free: the session's row, then both people. Nobody locks a
    -- session without a part in it.
    if (
        (p_duration_minutes is null or p_duration_minutes between 15 and 180)
        and p_session_date between date '1900-01-01' and date '2999-12-31'
        and p_session_time < time '24:00'
        and extract(second from p_session_time) = 0
        and current_setting('transaction_isolation') = 'read committed'
        -- A TimeZone of one's own making may have a zone's name among its abbreviations, with another meaning.
        and current_setting('TimeZone') !~ '[<0-9]'
    ) is not true then
        return null;
    end if;
    select
        s.user_id, s.therapist_id, s.start_time, s.end_time, s.free_cancellation_until,
        s.start_time - s.free_cancellation_until,
        coalesce(
            p_duration_minutes,
            (extract(epoch from s.end_time) - extract(epoch from s.start_time))::integer / 60
        )
    into v_user_id, v_therapist_id, v_old_start, v_old_end, v_old_free_until, v_notice_given, v_minutes
    from public.sessions as s
    where s.id = p_session_id
        and s.status in ('scheduled', 'confirmed')
        and s.start_time > clock_timestamp()
        and s.end_time > s.start_time
        and s.end_time <= s.start_time + interval '180 minutes'
        and s.free_cancellation_until between s.start_time - interval '3650 days' and s.start_time
        and s.cancellation_notice is null
        and s.user_id <> s.therapist_id
        and (v_actor_id is null or v_actor_id in (s.user_id, s.therapist_id))
    for update skip locked;
    if (
        v_user_id is not null
        and pg_try_advisory_xact_lock_shared(7238106512347103)
        and pg_try_advisory_xact_lock(
            least(bookingdb.person_key(v_therapist_id), bookingdb.person_key(v_user_id))
        )
        and pg_try_advisory_xact_lock(
            greatest(bookingdb.person_key(v_therapist_id), bookingdb.person_key(v_user_id))
        )
    ) is not true then
        return null;
    end if;

    -- 2. The therapist's rules, and the time by them. A clock change within a day is a doubt. (Read into variables,
    -- because expressions of a query cost more.)
    select
        r.time_zone, r.buffer_before, r.buffer_after, r.minimum_notice, r.maximum_advance, r.moved_cancellation_grace,
        r.reschedule_window, r.maximum_reschedules,
        r.is_plain
        and v_minutes between r.minimum_duration_minutes and r.maximum_duration_minutes
        and (p_time_zone is null or p_time_zone = r.time_zone)
        and (r.time_zone = 'UTC' or strpos(r.time_zone, '/') > 0)
        and not r.override_dates && array[p_session_date - 1, p_session_date, p_session_date + 1]
        and r.open_week @> tsrange(
            date '1900-01-01' + (p_session_date - date '1900-01-01') % 7 + p_session_time,
            date '1900-01-01' + (p_session_date - date '1900-01-01') % 7 + p_session_time
            + make_interval(mins => v_minutes)
        ) as is_plain
    into v_rules
    from bookingdb.rules as r
    where r.therapist_id = any (array[v_therapist_id, '00000000-0000-0000-0000-000000000000'])
    order by r.therapist_id desc
    limit 1;
    if v_rules.is_plain is not true then
        return null;
    end if;
    begin
        v_local := p_session_date + p_session_time;
        v_start := v_local at time zone v_rules.time_zone;
    exception
        -- The server does not know the zone any more.
        when invalid_parameter_value then
            return null;
    end;
    v_end := v_start + make_interval(mins => v_minutes);
    if (
        (v_start <> v_old_start or v_end <> v_old_end)
        and v_start >= bookingdb.add_elapsed(v_now, v_rules.minimum_notice)
        and v_start <= bookingdb.add_elapsed(v_now, v_rules.maximum_advance)
        and v_start - interval '24 hours' = (v_local - interval '24 hours') at time zone v_rules.time_zone
        and v_start + interval '24 hours' = (v_local + interval '24 hours') at time zone v_rules.time_zone
    ) is not true then
        return null;
    end if;
    v_blocked := tstzrange(v_start - v_rules.buffer_before, v_end + v_rules.buffer_after);

    -- The window of free cancellation moves along. Nobody who moves a session worsens the other side's right: the
    -- client keeps the old limit, or gets a grace. Their own first move worsens nothing.
    v_free_until := bookingdb.add_elapsed(v_start, -v_notice_given);
    if v_actor_id = v_user_id then
        if (
            v_old_free_until >= v_now
            and v_rules.maximum_reschedules > 0
            and bookingdb.add_elapsed(v_old_start, -v_rules.reschedule_window) >= v_now
        ) is not true then
            return null;
        end if;
        if exists (
            select from public.booking_audit_log as a
            where a.session_id = p_session_id
                and a.changes ?| array['start_time', 'end_time', 'therapist_id']
        ) then
            return null;
        end if;
    else
        v_kept_until := least(
            v_start,
            greatest(v_old_free_until, bookingdb.add_elapsed(v_now, v_rules.moved_cancellation_grace))
        );
    end if;

    -- 3. Both people are there, and their calendars are empty but for the session itself, whose time moves. Under their
    -- locks that is the truth. An index covers each look-up.
    update bookingdb.calendar as k
    set period = tstzrange(v_start, v_end),
        blocked = v_blocked
    where k.id = p_session_id
        and k.kind = 'session'
        and k.therapist_id = v_therapist_id
        and k.client_id = v_user_id
        and k.expires_at is null
        and k.mirror_ids is null
        and exists (select from bookingdb.therapists as t where t.id = v_therapist_id)
        and exists (select from bookingdb.clients as c where c.id = v_user_id)
        -- Its credits did not come back.
        and not exists (select from bookingdb.ledger as l where l.session_id = p_session_id and l.kind <> 'debit')
        and not exists (
            select from bookingdb.calendar as c
            where c.therapist_id = v_therapist_id
                and c.blocked && v_blocked
                and c.kind in ('session', 'hold')
                and c.id <> p_session_id
        )
        and not exists (
            select from bookingdb.calendar as c
            where c.client_id = v_user_id
                and c.period && tstzrange(v_start, v_end)
                and c.kind in ('session', 'hold')
                and c.id <> p_session_id
        )
        -- What is not long began less than a week before.
        and not exists (
            select from bookingdb.absences as a
            where a.therapist_id = v_therapist_id
                and not a.is_long
                and lower(a.period) > lower(v_blocked) - interval '168 hours'
                and lower(a.period) < upper(v_blocked)
                and upper(a.period) > lower(v_blocked)
        )
        and not exists (
            select from bookingdb.absences as a
            where a.therapist_id = v_therapist_id
                and a.is_long
                and upper(a.period) > lower(v_blocked)
                and lower(a.period) < upper(v_blocked)
        )
        and not exists (
            select from bookingdb.absences as a
            where a.client_id = v_user_id and a.period && tstzrange(v_start, v_end)
        );
    if not found then
        return null;
    end if;

    -- 4. The session.
    update public.sessions as s
    set scheduled_date = p_session_date,
        scheduled_time = p_session_time,
        start_time = v_start,
        end_time = v_end,
        duration_minutes = v_minutes,
        time_zone = v_rules.time_zone,
        free_cancellation_until = greatest(v_free_until, v_kept_until),
        cancellation_notice = case when v_kept_until > v_free_until then v_notice_given end,
        hours_overridden = false,
        overridden_rules = null,
        updated_at = now()
    where s.id = p_session_id
    returning s.id, s.user_id, s.therapist_id, s.title, s.description, s.scheduled_date, s.scheduled_time, s.start_time,
        s.end_time, s.duration_minutes, s.session_type, s.status, s.created_at, s.time_zone,
        -- The therapist does not see the client's credits.
        case
            when v_actor_id is null or v_actor_id = v_user_id then (
                select least(coalesce(sum(c.credits_balance), 0), 2147483647)
                from public.user_credits as c
                where c.user_id = v_user_id
                    and c.user_type = 'user'
                    and c.status = 'active'
                    and (c.expires_at is null or c.expires_at > clock_timestamp())
            )
        end,
        s.free_cancellation_until, false
    into v_moved;
    if not found then
        perform bookingdb.raise_write_swallowed();
    end if;
    return v_moved;
end;
$function$;

comment on function bookingdb.move_quickly(uuid, date, time, integer, text) is
'Moves a session as reschedule_session() does, if nothing about it is special; else it returns NULL and wrote nothing. Caller holds: nothing.';
