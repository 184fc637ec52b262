create or replace function bookingdb.take_credit(
    p_user_id uuid,
    p_session_id uuid,
    p_part integer default 1,
    p_is_new boolean default true,
    p_valid_at timestamptz default null
)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    -- A policy may want lots that are valid at the session's start (credits_valid_on).
    v_valid_at constant timestamptz := greatest(clock_timestamp(), p_valid_at);
    v_actor constant text := bookingdb.actor();
    v_lot_id uuid;
    v_balance integer;
    v_charge integer := 1;
    v_last bookingdb.session_charge;
begin
    -- The next charge begins when the last one was returned. Before that it has the last one's number, and the ledger's
    -- constraint refuses a part that was taken. A booking's session is new, and spares the look-up.
    if not p_is_new then
        v_last := bookingdb.last_charge(p_session_id);
        v_charge := coalesce(v_last.charge + v_last.is_returned::integer, 1);
    end if;

    -- Spending order: priority, then the soonest expiry, then promotional before paid, then the oldest, then the id.
    -- Only direct writers and expire_credits() can hold the lot's lock, because the caller has the client's. Waiting
    -- needs a subtransaction, 5 % of a booking's instructions, so lock_next_lot() is left to the second try. The
    -- conditions stand twice, because a row that changes before it is locked is checked against the outer ones alone.
    select c.id, c.credits_balance
    into v_lot_id, v_balance
    from (
        select l.id
        from public.user_credits as l
        where l.user_id = p_user_id
            and l.user_type = 'user'
            and l.status = 'active'
            and l.credits_balance > 0
            and (l.expires_at is null or l.expires_at > v_valid_at)
        order by l.priority, l.expires_at asc nulls last, l.category desc, l.created_at, l.id
        limit 1
    ) as f
    inner join public.user_credits as c on c.id = f.id
    where c.user_id = p_user_id
        and c.user_type = 'user'
        and c.status = 'active'
        and c.credits_balance > 0
        and (c.expires_at is null or c.expires_at > v_valid_at)
    for update of c skip locked;

    -- Somebody else holds the lock of the lot.
    if v_lot_id is null and bookingdb.credits_balance(p_user_id) > 0 then
        select l.id, l.credits_balance
        into v_lot_id, v_balance
        from bookingdb.lock_next_lot(p_user_id, p_valid_at => p_valid_at) as l;
        if v_lot_id is null and p_valid_at is not null then
            v_balance := bookingdb.credits_balance(p_user_id);
        end if;
    end if;

    if v_lot_id is null then
        -- All credits that there are end too early.
        perform bookingdb.raise_error('insufficient_credits', case
            when v_balance > 0 then jsonb_build_object(
                'credits_balance', v_balance, 'reason', 'end_too_early',
                'start_time', bookingdb.iso_utc(p_valid_at)
            )
            else jsonb_build_object('credits_balance', 0)
        end);
    end if;

    -- One statement, so that the trigger on user_credits, which fires after it, finds the entry.
    with paid as (
        update public.user_credits as c
        set credits_balance = c.credits_balance - 1,
            -- A lot that is used up leaves the index in which the next one is looked for.
            status = case when c.credits_balance = 1 then 'used' else c.status end,
            -- A count that was written directly must not overflow.
            credits_used = least(c.credits_used, 2147483646) + 1,
            updated_at = now()
        where c.id = v_lot_id
        returning c.id
    )

    insert into bookingdb.ledger (user_id, lot_id, session_id, kind, amount, balance_after, actor, charge, part)
    select p_user_id, p.id, p_session_id, 'debit', -1, v_balance - 1, v_actor, v_charge, p_part
    from paid as p;
    if not found then
        perform bookingdb.raise_write_swallowed();
    end if;
end;
$function$;

comment on function bookingdb.take_credit(uuid, uuid, integer, boolean, timestamptz) is
'Takes a credit of a lot, valid at p_valid_at, too, as part p_part of a session''s charge. p_is_new false: it may have been charged before. Caller holds: the client''s lock. Raises: insufficient_credits.';
