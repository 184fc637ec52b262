create or replace function bookingdb.book_quickly(
    p_user_id uuid,
    p_therapist_id uuid,
    p_session_date date,
    p_session_time time,
    p_duration_minutes integer,
    p_session_type varchar,
    p_notes text,
    p_title text,
    p_time_zone text,
    p_idempotency_key text,
    p_actor text
)
returns bookingdb.booked_session
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    c_everybody constant bigint := 7238106512347103;
    c_others constant uuid := '00000000-0000-0000-0000-000000000000';
    v_rules record;
    v_start timestamptz;
    v_end timestamptz;
    v_blocked tstzrange;
    v_session_id uuid;
    v_lot_id uuid;
    v_lot tid;
    v_left_in_lot integer;
    v_left integer;
    v_booked bookingdb.booked_session;
begin
    -- The numbers are those of book_once(). A condition that does not hold, or is NULL, leaves the booking to it.

    -- 2. and 3. Formats and ranges, then the locks, if they are free.
    if (
        p_user_id <> p_therapist_id
        and p_duration_minutes between 15 and 180
        and char_length(p_session_type) between 1 and 50
        and char_length(p_title) between 1 and 255
        and (p_notes is null or char_length(p_notes) <= 10000)
        and p_session_date between date '1900-01-01' and date '2999-12-31'
        and p_session_time < time '24:00'
        and date_part('second', p_session_time) = 0
        and current_setting('transaction_isolation') = 'read committed'
        and pg_try_advisory_xact_lock_shared(c_everybody)
        and pg_try_advisory_xact_lock(
            least(bookingdb.person_key(p_therapist_id), bookingdb.person_key(p_user_id))
        )
        and pg_try_advisory_xact_lock(
            greatest(bookingdb.person_key(p_therapist_id), bookingdb.person_key(p_user_id))
        )
    ) is not true then
        return null;
    end if;

    -- 4. A key that nobody has used.
    if p_idempotency_key is not null then
        if char_length(p_idempotency_key) not between 1 and 255 then
            return null;
        end if;
        perform
        from bookingdb.idempotency_keys as k
        where k.function_name = 'create_session_with_credit_deduction'
            and k.user_id = p_user_id
            and k.key = p_idempotency_key;
        if found then
            return null;
        end if;
    end if;

    -- 5. The therapist's rules, in one row: no limits, and hours that surely hold the session.
    select
        r.time_zone, r.cancellation_window, r.buffer_before, r.buffer_after, r.minimum_notice, r.maximum_advance,
        r.is_plain
        and p_duration_minutes between r.minimum_duration_minutes and r.maximum_duration_minutes
        and (p_time_zone is null or p_time_zone = r.time_zone)
        and not r.override_dates && array[p_session_date - 1, p_session_date, p_session_date + 1] as is_plain,
        r.open_week @> tsrange(
            date '1900-01-01' + (p_session_date - date '1900-01-01') % 7 + p_session_time,
            date '1900-01-01' + (p_session_date - date '1900-01-01') % 7 + p_session_time
            + make_interval(mins => p_duration_minutes)
        ) as is_open,
        r.has_dated_hours, r.open_week, r.override_dates, r.slot_step_minutes, r.slot_offset_minutes, r.slot_anchor
    into v_rules
    from bookingdb.rules as r
    where r.therapist_id = any (array[p_therapist_id, c_others])
    order by r.therapist_id desc
    limit 1;
    if v_rules.is_plain is not true then
        return null;
    end if;
    if not v_rules.is_open then
        if not v_rules.has_dated_hours then
            return null;
        end if;
        perform
        from bookingdb.weekly_hours as w
        where w.therapist_id = p_therapist_id
            and w.weekday = extract(isodow from p_session_date)
            and w.start_time <= p_session_time
            and w.end_time::interval
            + case when w.end_time <= w.start_time then interval '24 hours' else interval '0' end
            >= p_session_time::interval + make_interval(mins => p_duration_minutes)
            and (w.valid_from is null or w.valid_from <= p_session_date)
            and (w.valid_to is null or w.valid_to >= p_session_date)
            and w.every_weeks = 1
            and w.time_zone is null;
        if not found then
            return null;
        end if;
    end if;

    -- The server may have lost the zone.
    begin
        v_start := (p_session_date + p_session_time) at time zone v_rules.time_zone;
    exception
        when invalid_parameter_value then
            return null;
    end;
    -- The zone's name is no abbreviation that the connection's TimeZone brings along, such as UTC5
    -- (wall_clock_instant). Its clocks stand still from the day before to the day after: the local time is there once,
    -- and the hours are as long as they say.
    if (
        (
            current_setting('TimeZone') = 'UTC'
            or (
                (v_rules.time_zone = 'UTC' or strpos(v_rules.time_zone, '/') > 0)
                and current_setting('TimeZone') !~ '[<0-9]'
            )
        )
        and (v_start - interval '24 hours') at time zone v_rules.time_zone
        = p_session_date - 1 + p_session_time
        and (v_start + interval '24 hours') at time zone v_rules.time_zone
        = p_session_date + 1 + p_session_time
        and v_start >= bookingdb.add_elapsed(clock_timestamp(), v_rules.minimum_notice)
        and v_start <= bookingdb.add_elapsed(clock_timestamp(), v_rules.maximum_advance)
    ) is not true then
        return null;
    end if;
    v_end := v_start + make_interval(mins => p_duration_minutes);
    v_blocked := tstzrange(v_start - v_rules.buffer_before, v_end + v_rules.buffer_after);

    -- 6. to 8. Both people are there, nothing is in the way, not even what has expired, and nobody has the lot that is
    -- spent next (take_credit), or has written it since it was found. Its version says so: conditions that stand a
    -- second time would cost 20 thousand instructions.
    select c.id, c.ctid, c.credits_balance - 1, f.credits_left
    into v_lot_id, v_lot, v_left_in_lot, v_left
    from (
        select
            l.ctid, l.xmin as version,
            least(sum(l.credits_balance) over () - 1, 2147483647) as credits_left
        from public.user_credits as l
        where l.user_id = p_user_id
            and l.user_type = 'user'
            and l.status = 'active'
            and l.credits_balance > 0
            and (l.expires_at is null or l.expires_at > clock_timestamp())
        order by l.priority, l.expires_at asc nulls last, l.category desc, l.created_at, l.id
        limit 1
    ) as f
    inner join public.user_credits as c on c.ctid = f.ctid and c.xmin = f.version
    where exists (select from bookingdb.therapists as t where t.id = p_therapist_id)
        and exists (select from bookingdb.clients as t where t.id = p_user_id)
        and not exists (
            select from bookingdb.calendar as k
            where k.therapist_id = p_therapist_id and k.blocked && v_blocked and k.kind in ('session', 'hold')
        )
        and not exists (
            select from bookingdb.calendar as k
            where k.client_id = p_user_id and k.period && tstzrange(v_start, v_end) and k.kind in ('session', 'hold')
        )
        -- What is not long began less than a week before.
        and not exists (
            select from bookingdb.absences as a
            where a.therapist_id = p_therapist_id
                and not a.is_long
                and lower(a.period) > lower(v_blocked) - interval '168 hours'
                and lower(a.period) < upper(v_blocked)
                and upper(a.period) > lower(v_blocked)
        )
        and not exists (
            select from bookingdb.absences as a
            where a.therapist_id = p_therapist_id
                and a.is_long
                and upper(a.period) > lower(v_blocked)
                and lower(a.period) < upper(v_blocked)
        )
        and not exists (
            select from bookingdb.absences as a where a.client_id = p_user_id and a.period && tstzrange(v_start, v_end)
        )
    for update of c skip locked;
    if not found then
        if v_rules.is_open then
            if exists (select from bookingdb.therapists as t where t.id = p_therapist_id) then
                if exists (select from bookingdb.clients as t where t.id = p_user_id) then
                    perform bookingdb.refuse_taken(
                        p_therapist_id, p_user_id, tstzrange(v_start, v_end),
                        bookingdb.add_elapsed(clock_timestamp(), v_rules.maximum_advance), v_rules.time_zone,
                        v_rules.buffer_before, v_rules.buffer_after, v_rules.slot_step_minutes,
                        v_rules.slot_offset_minutes, v_rules.slot_anchor, v_rules.open_week, v_rules.override_dates
                    );
                end if;
            end if;
        end if;
        return null;
    end if;

    -- 9. The calendar row, the credit, the session, as occupy_free_time(), take_credit() and write_session() write
    -- them: the triggers of each find what they look for.
    v_session_id := bookingdb.new_id();
    insert into bookingdb.calendar (id, kind, therapist_id, client_id, period, blocked)
    values (v_session_id, 'session', p_therapist_id, p_user_id, tstzrange(v_start, v_end), v_blocked);
    insert into bookingdb.ledger (user_id, lot_id, session_id, kind, amount, balance_after, actor)
    values (p_user_id, v_lot_id, v_session_id, 'debit', -1, v_left_in_lot, p_actor);
    update public.user_credits as c
    set credits_balance = v_left_in_lot,
        status = case when v_left_in_lot = 0 then 'used' else c.status end,
        credits_used = least(c.credits_used, 2147483646) + 1,
        updated_at = now()
    where c.ctid = v_lot;
    if not found then
        perform bookingdb.raise_write_swallowed();
    end if;
    insert into public.sessions as s (
        id, user_id, therapist_id, title, description, scheduled_date, scheduled_time, start_time, end_time,
        duration_minutes, session_type, status, time_zone, credits_charged, free_cancellation_until
    )
    values (
        v_session_id, p_user_id, p_therapist_id, p_title, coalesce(p_notes, ''), p_session_date, p_session_time,
        v_start, v_end, p_duration_minutes, p_session_type, 'scheduled', v_rules.time_zone, 1,
        bookingdb.add_elapsed(v_start, -v_rules.cancellation_window)
    )
    returning s.id, s.user_id, s.therapist_id, s.title, s.description, s.scheduled_date, s.scheduled_time, s.start_time,
        s.end_time, s.duration_minutes, s.session_type, s.status, s.created_at, s.time_zone, v_left
    into v_booked;
    if not found then
        perform bookingdb.raise_write_swallowed();
    end if;
    if p_idempotency_key is not null then
        insert into bookingdb.idempotency_keys (
            function_name, user_id, key, request_hash, result_id, credits_balance
        )
        values (
            'create_session_with_credit_deduction', p_user_id, p_idempotency_key,
            bookingdb.request_hash(bookingdb.booking_request(
                p_therapist_id, p_session_date, p_session_time, p_duration_minutes, p_session_type, p_notes, p_title,
                p_time_zone
            )),
            v_session_id, v_left
        );
    end if;

    -- 10. The row is returned.
    return v_booked;
end;
$function$;

comment on function bookingdb.book_quickly(
    uuid, uuid, date, time, integer, varchar, text, text, text, text, text
) is
'Books a session that nothing speaks against, as book_once() would; NULL where it is in doubt. Caller holds: an authorisation for the client; p_actor is actor().';
