create or replace function bookingdb.cancel_quickly(p_session_id uuid, p_reason text)
returns bookingdb.changed_session
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_actor_id uuid;
    v_user_id uuid;
    v_is_therapist boolean;
    v_lot tid;
    v_lot_id uuid;
    v_balance integer;
    v_credits bigint;
    v_cancelled bookingdb.changed_session;
begin
    -- This is cancel_session() for what is cancelled mostly: an agreed session, in time, of one credit that returns to
    -- its lot. In any doubt it returns NULL, and then the rules decide one by one, and say what they refuse. (They
    -- stand here twice: the functions that ask them would be 950 thousand of 2,700 thousand instructions.)
    if not bookingdb.acts_for_anyone() then
        v_actor_id := bookingdb.actor_id();
        if v_actor_id is null then
            return null;
        end if;
    end if;

    -- 1. The locks, if they are free: the session's row, then its client. Nobody locks a session without a part in it.
    -- The client cancels by the terms, the therapist before the start.
    select s.user_id, v_actor_id <> s.user_id
    into v_user_id, v_is_therapist
    from public.sessions as s
    where s.id = p_session_id
        and s.status in ('scheduled', 'confirmed')
        and (
            v_actor_id is null
            or (
                s.start_time > clock_timestamp()
                and case
                    when s.user_id = v_actor_id then s.free_cancellation_until >= clock_timestamp()
                    else s.therapist_id = v_actor_id
                end
            )
        )
    for update skip locked;
    if (
        v_user_id is not null
        and (p_reason is null or char_length(p_reason) <= 1000)
        and current_setting('transaction_isolation') = 'read committed'
        and pg_try_advisory_xact_lock_shared(7238106512347103)
        and pg_try_advisory_xact_lock(bookingdb.person_key(v_user_id))
    ) is not true then
        return null;
    end if;

    -- 2. The time is given up before lots are locked. (The rules give it up again, if they decide.)
    delete from bookingdb.calendar as c
    where c.id = p_session_id and c.kind = 'session';

    -- 3. The credit's lot, locked if it is free, and what the client can spend. The last entry of the ledger, in this
    -- order, is that of the last part: its return, if there is one, before the debit.
    select c.ctid, c.id, c.credits_balance + 1, c.credits_balance + 1 + (
        select coalesce(sum(o.credits_balance), 0)
        from public.user_credits as o
        where o.user_id = v_user_id
            and o.user_type = 'user'
            and o.status = 'active'
            and (o.expires_at is null or o.expires_at > clock_timestamp())
            and o.id <> c.id
    )
    into v_lot, v_lot_id, v_balance, v_credits
    from public.user_credits as c
    where c.id = (
            select case when (l.kind, l.charge, l.part, l.amount) = ('debit', 1, 1, -1) then l.lot_id end
            from bookingdb.ledger as l
            where l.session_id = p_session_id
            order by l.charge desc, l.part desc, l.kind desc
            limit 1
        )
        and c.user_id = v_user_id
        and c.user_type = 'user'
        and c.status in ('active', 'used')
        and c.credits_owed = 0
        and c.credits_balance < 2147483647
        and (c.expires_at is null or c.expires_at > clock_timestamp())
    for update skip locked;
    if not found then
        return null;
    end if;

    -- 4. The rows.
    insert into bookingdb.ledger (user_id, lot_id, session_id, kind, amount, balance_after, actor)
    values (
        v_user_id, v_lot_id, p_session_id, 'refund', 1, v_balance,
        coalesce(v_actor_id::text, bookingdb.own_role(), bookingdb.actor())
    );
    insert into bookingdb.outbox (event, subject_id, payload)
    values ('credits.refunded', v_lot_id, jsonb_build_object(
        'lot_id', v_lot_id, 'user_id', v_user_id, 'amount', 1, 'session_id', p_session_id
    ));
    update public.user_credits as c
    set credits_balance = v_balance,
        status = 'active',
        credits_used = greatest(c.credits_used, 1) - 1,
        updated_at = now()
    where c.ctid = v_lot;
    if not found then
        perform bookingdb.raise_write_swallowed();
    end if;
    update public.sessions as s
    set status = 'cancelled',
        cancellation_reason = p_reason,
        updated_at = now()
    where s.id = p_session_id
    returning s.id, s.user_id, s.therapist_id, s.title, s.description, s.scheduled_date, s.scheduled_time, s.start_time,
        s.end_time, s.duration_minutes, s.session_type, s.status, s.created_at, s.time_zone,
        -- The therapist does not see the client's credits.
        case when v_is_therapist is not true then least(v_credits, 2147483647) end, s.free_cancellation_until, true
    into v_cancelled;
    if not found then
        perform bookingdb.raise_write_swallowed();
    end if;
    return v_cancelled;
end;
$function$;

comment on function bookingdb.cancel_quickly(uuid, text) is
'Cancels a session as cancel_session() does, if nothing about it is special; else it returns NULL and wrote nothing that cancel_session() does not write. Caller holds: nothing.';
