create or replace function bookingdb.occupy_time(
    p_id uuid,
    p_therapist_id uuid,
    p_client_id uuid,
    p_period tstzrange,
    p_blocked tstzrange,
    p_expires_at timestamptz,
    p_kind text default null,
    p_mirror_of uuid default null
)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_kind constant text := coalesce(p_kind, case when p_expires_at is null then 'session' else 'hold' end);
    v_constraint text;
begin
    if bookingdb.client_conflict(p_client_id, p_period, p_id) then
        perform bookingdb.raise_error(
            'client_conflict',
            bookingdb.period_context(p_therapist_id, p_period)
            || bookingdb.own_time_context(p_client_id, null, p_period, p_id)
        );
    end if;

    -- What has expired blocks nobody, but its row would still violate the constraint. (A mirror goes with its row.)
    perform bookingdb.lapse_sessions(array(
        select coalesce(c.mirror_of, c.id)
        from bookingdb.calendar as c
        where c.therapist_id = p_therapist_id
            and c.blocked && p_blocked
            and c.kind in ('session', 'hold')
            and c.kind = 'session'
            and c.expires_at <= clock_timestamp()
    ) || array(
        select coalesce(c.mirror_of, c.id)
        from bookingdb.calendar as c
        where c.client_id = p_client_id
            and c.period && p_period
            and c.kind in ('session', 'hold')
            and c.kind = 'session'
            and c.expires_at <= clock_timestamp()
    ), true);
    -- Both people in both parts, because mirror_time() may need the other ones.
    perform bookingdb.remove_expired_holds(
        array[p_therapist_id, p_client_id], tstzmultirange(p_blocked)
    );

    if current_setting('transaction_isolation') in ('read committed', 'read uncommitted') then
        -- Under the locks of both people the look-ups saw everything: no subtransaction is needed.
        insert into bookingdb.calendar (id, kind, therapist_id, client_id, period, blocked, expires_at, mirror_of)
        values (p_id, v_kind, p_therapist_id, p_client_id, p_period, p_blocked, p_expires_at, p_mirror_of);
        if p_mirror_of is null then
            perform bookingdb.mirror_time(p_id, p_therapist_id, p_client_id);
        end if;
        return;
    end if;

    -- REPEATABLE READ and SERIALIZABLE look at an old snapshot; the constraints find what it hides.
    begin
        insert into bookingdb.calendar (id, kind, therapist_id, client_id, period, blocked, expires_at, mirror_of)
        values (p_id, v_kind, p_therapist_id, p_client_id, p_period, p_blocked, p_expires_at, p_mirror_of);
    exception
        when exclusion_violation then
            get stacked diagnostics v_constraint = constraint_name;
            -- In a mirror the two have changed places.
            if (v_constraint = 'calendar_client_excl') = (p_mirror_of is null) then
                perform bookingdb.raise_error('client_conflict', bookingdb.period_context(
                    case when p_mirror_of is null then p_therapist_id end, p_period
                ));
            end if;
            perform bookingdb.raise_error('booking_conflict', bookingdb.period_context(
                coalesce(p_therapist_id, p_client_id), p_period
            ));
        when unique_violation then
            -- The snapshot hides the client's own hold with this therapist; a new transaction sees it.
            perform bookingdb.raise_error('busy');
    end;
    if p_mirror_of is null then
        perform bookingdb.mirror_time(p_id, p_therapist_id, p_client_id);
    end if;
end;
$function$;

comment on function bookingdb.occupy_time(uuid, uuid, uuid, tstzrange, tstzrange, timestamptz, text, uuid) is
'Gives a session or hold (p_kind NULL: a hold if p_expires_at is) its calendar row. Caller holds: both people''s locks, and found the therapist free. Raises: client_conflict, busy, booking_conflict.';
