-- Takes up tables that were kept: gives what was written since the records that the triggers would have written. Nobody
-- writes meanwhile: take_up_times has locked the tables.
do $kept$
declare
    c_actor constant text := 'uninstalled';
    v_evidence jsonb;
    v_found jsonb;
    v_occupying text[];
    v_unplaced uuid[];
    v_row record;
    v_blocked tstzrange;
begin
    if (
        :is_kept
    ) is not true then
        return;
    end if;

    -- Evidence that was changed without a trigger is on record, too, and what follows does not smooth it over.
    v_evidence := (
        select h.details -> 'evidence'
        from bookingdb.history as h
        where h.kind = 'functions'
        order by h.id desc
        limit 1
    );
    v_found := (
        :evidence
    );
    insert into bookingdb.rewritten_records (table_name, operation, old_row, new_row, rewritten_by)
    select e.key, 'UPDATE', e.value, v_found -> e.key, 'somebody while bookingdb was uninstalled'
    from jsonb_each(v_evidence) as e
    where e.value <> v_found -> e.key;

    -- Sessions. The audit log knows each one's status, the calendar its people and its time.
    with recorded as (
        select distinct on (l.session_id) l.session_id, l.user_id, l.action, l.new_status
        from public.booking_audit_log as l
        where l.session_id is not null
        order by l.session_id, l.entry desc
    ),

    found as (
        select
            coalesce(s.id, r.session_id) as session_id,
            case
                when s.id is null then 'deleted'
                when r.session_id is null or r.action = 'deleted' then 'created'
                when s.status is distinct from r.new_status then 'status_changed'
                else 'updated'
            end as action,
            r.user_id as recorded_user_id,
            r.new_status as recorded_status,
            c.therapist_id,
            c.period,
            s as session,
            -- Asked for each session, session_changes() would cost more than all else.
            case
                when s.id is null or r.session_id is null or r.action = 'deleted' then null
                when s.status is not distinct from r.new_status
                    and (
                        c.id is null
                        or (c.therapist_id, c.client_id, lower(c.period), upper(c.period))
                        is not distinct from (s.therapist_id, s.user_id, s.start_time, s.end_time)
                    ) then null
                else bookingdb.session_changes(
                    jsonb_populate_record(
                        s,
                        jsonb_build_object('status', r.new_status) || case when c.id is null then '{}' else
                            jsonb_build_object(
                                'therapist_id', c.therapist_id, 'user_id', c.client_id,
                                'start_time', lower(c.period), 'end_time', upper(c.period)
                            )
                        end
                    ),
                    s
                )
            end as changes
        from public.sessions as s
        full join recorded as r on r.session_id = s.id
        left join (
            select k.id, k.therapist_id, k.client_id, k.period
            from bookingdb.calendar as k
            where k.kind = 'session'
            union all
            select a.id, a.therapist_id, a.client_id, a.period
            from bookingdb.absences as a
            where a.external_source = 'adoption'
        ) as c on c.id = coalesce(s.id, r.session_id)
        where s.id is not null or r.action <> 'deleted'
    ),

    audited as (
        insert into public.booking_audit_log (session_id, user_id, action, old_status, new_status, changes, actor)
        select
            f.session_id,
            case f.action when 'deleted' then f.recorded_user_id else (f.session).user_id end,
            f.action,
            case when f.action <> 'created' then f.recorded_status end,
            (f.session).status,
            coalesce(f.changes, '{}'),
            c_actor
        from found as f
        where f.action <> 'updated' or f.changes <> '{}'
        order by (f.session).created_at, f.session_id
    )

    insert into bookingdb.outbox (event, subject_id, payload)
    select
        'session.' || f.action,
        f.session_id,
        jsonb_build_object(
            'session_id', f.session_id,
            'user_id', coalesce((f.session).user_id, f.recorded_user_id),
            'therapist_id', coalesce((f.session).therapist_id, f.therapist_id),
            'start_time', bookingdb.iso_utc(coalesce((f.session).start_time, lower(f.period))),
            'end_time', bookingdb.iso_utc(coalesce((f.session).end_time, upper(f.period))),
            'old_status', case when f.action <> 'created' then f.recorded_status end,
            'new_status', (f.session).status
        ) || case f.action
            when 'created' then '{}'
            -- Nobody counted these changes: the revision stands as it was.
            else jsonb_build_object('revision', coalesce((f.session).revision, 0), 'actor', c_actor)
        end
    from found as f
    where f.action <> 'updated' or f.changes <> '{}'
    order by (f.session).created_at, f.session_id;

    -- Lots. One that was moved to another person leaves the one before with nothing.
    with recorded as (
        select distinct on (l.lot_id) l.lot_id, l.user_id, l.balance_after
        from bookingdb.ledger as l
        order by l.lot_id, l.id desc
    )

    insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor)
    select r.user_id, r.lot_id, 'direct', -r.balance_after, 0, c_actor
    from recorded as r
    inner join public.user_credits as c on c.id = r.lot_id
    where c.user_id <> r.user_id and r.balance_after <> 0;

    with recorded as (
        select distinct on (l.lot_id) l.lot_id, l.user_id, l.balance_after
        from bookingdb.ledger as l
        order by l.lot_id, l.id desc
    )

    insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor)
    select
        coalesce(c.user_id, r.user_id),
        coalesce(c.id, r.lot_id),
        'direct',
        coalesce(c.credits_balance, 0) - coalesce(r.balance_after, 0),
        coalesce(c.credits_balance, 0),
        c_actor
    from public.user_credits as c
    full join recorded as r on r.lot_id = c.id
    where coalesce(c.credits_balance, 0) <> coalesce(r.balance_after, 0)
    order by c.created_at, r.lot_id;

    -- One that was emptied or refilled has the status that a direct write would have given it.
    update public.user_credits as c
    set status = case c.credits_balance when 0 then 'used' else 'active' end
    where c.status = case c.credits_balance when 0 then 'active' else 'used' end
        and exists (select from bookingdb.ledger as l where l.lot_id = c.id);

    -- The payments of lots. A revocation that was remembered applies to a lot that was written since.
    update bookingdb.payments as p
    set lot_id = null
    where p.lot_id is not null
        and not exists (
            select from public.user_credits as c
            -- A payment whose reference was erased goes on to name its lot.
            where c.id = p.lot_id and (c.payment_reference = p.payment_reference or p.payment_reference is null)
        );
    for v_row in
        insert into bookingdb.payments as p (payment_key, payment_reference, lot_id, user_id, actor)
        select bookingdb.payment_key(c.payment_reference), c.payment_reference, c.id, c.user_id, c_actor
        from public.user_credits as c
        where c.payment_reference is not null
        on conflict (payment_key) do update
        set payment_reference = excluded.payment_reference,
            lot_id = excluded.lot_id,
            user_id = excluded.user_id
        where p.lot_id is null
        returning p.lot_id, p.revoked_share, p.reason
    loop
        if v_row.revoked_share > 0 then
            perform bookingdb.take_back(v_row.lot_id, array[v_row.lot_id], v_row.revoked_share, v_row.reason);
        end if;
    end loop;

    -- The calendar. Rows that differ from their session give up their time first.
    v_occupying := bookingdb.occupying_statuses();
    delete from bookingdb.calendar as c
    -- A session of a hold's id is what became of the hold. Mirrors go with their rows.
    where (
        c.kind = 'hold'
        and c.mirror_of is null
        and (c.expires_at <= clock_timestamp() or exists (select from public.sessions as s where s.id = c.id))
    )
        or (
            c.kind = 'session'
            and c.mirror_of is null
            and not exists (
                select from public.sessions as s
                where s.id = c.id
                    and s.status = any (v_occupying)
                    and s.therapist_id is not distinct from c.therapist_id
                    and s.user_id is not distinct from c.client_id
                    and s.start_time = lower(c.period)
                    and s.end_time = upper(c.period)
            )
        );
    -- The stand-ins of sessions that overlapped in an adopted database, likewise.
    delete from bookingdb.absences as a
    where a.external_source = 'adoption'
        and not exists (
            select from public.sessions as s
            where s.id = a.id
                and s.status = any (v_occupying)
                and s.therapist_id is not distinct from a.therapist_id
                and s.user_id is not distinct from a.client_id
                and s.start_time = lower(a.period)
                and s.end_time = upper(a.period)
        );
    delete from bookingdb.overlapping_sessions as o
    where not exists (select from bookingdb.absences as a where a.id = o.session_id);
    v_unplaced := array(select s.id from bookingdb.unplaced_sessions() as s);
    perform bookingdb.place_adopted_sessions();
    -- With the buffers that a direct write would get, where nothing is in the way of them.
    for v_row in
        select c.id, c.therapist_id, c.period
        from bookingdb.calendar as c
        where c.id = any (v_unplaced) and c.kind = 'session' and upper(c.period) > clock_timestamp()
            and c.therapist_id is not null
        order by lower(c.period), c.id
    loop
        v_blocked := bookingdb.blocked_time(bookingdb.policy_of(v_row.therapist_id), v_row.period);
        if v_blocked <> v_row.period then
            update bookingdb.calendar as c
            set blocked = v_blocked
            where c.id = v_row.id
                and not exists (
                    select from bookingdb.calendar as o
                    where o.therapist_id = v_row.therapist_id
                        and o.blocked && v_blocked
                        and o.kind in ('session', 'hold')
                        and o.id <> v_row.id
                );
        end if;
    end loop;

    -- The price of a session is what the ledger says: nobody but the booking functions writes it.
    update public.sessions as s
    set credits_charged = c.kept
    from (
        select distinct on (l.session_id)
            l.session_id,
            coalesce(-sum(l.amount) filter (where l.kind = 'debit'), 0) as taken,
            -sum(l.amount) as kept
        from bookingdb.ledger as l
        group by l.session_id, l.charge
        order by l.session_id asc, l.charge desc
    ) as c
    where c.session_id = s.id and s.credits_charged not in (c.taken, c.kept);
    update public.sessions as s
    set credits_charged = 0
    where s.credits_charged > 0
        and not exists (select from bookingdb.ledger as l where l.session_id = s.id);
end;
$kept$
