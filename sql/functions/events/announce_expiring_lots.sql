create or replace function bookingdb.announce_expiring_lots(p_limit integer)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $function$
declare
    c_days constant integer := 14;
    c_most_days constant integer := 365;
    c_pause constant interval := interval '1 minute';
    -- The notice of no lot says when to look again: a relay runs each second, and there may be thousands of notices.
    c_no_lot constant uuid := '00000000-0000-0000-0000-000000000000';
    v_now constant timestamptz := clock_timestamp();
    v_days integer;
begin
    -- The destination that wants to hear of it earliest decides for all.
    select max(case
        when jsonb_typeof(d.settings -> 'expiring_days') = 'number'
            then least(greatest((d.settings ->> 'expiring_days')::numeric, 1), c_most_days)
        else c_days
    end)
    into v_days
    from bookingdb.destinations as d
    where d.is_enabled and bookingdb.event_is_wanted(d.events, 'credits.expiring');
    if v_days is null or exists (
        select from bookingdb.expiry_notices as n where n.lot_id = c_no_lot and n.expires_at > v_now
    ) then
        return;
    end if;

    with noticed as (
        insert into bookingdb.expiry_notices (lot_id, expires_at)
        select c.id, c.expires_at
        from public.user_credits as c
        where c.status = 'active'
            and c.expires_at > v_now
            and c.expires_at <= v_now + make_interval(hours => 24 * v_days)
            and c.credits_balance > 0
            and c.user_type = 'user'
            and not exists (
                select from bookingdb.expiry_notices as n where n.lot_id = c.id and n.expires_at = c.expires_at
            )
        order by c.expires_at
        limit p_limit
        on conflict do nothing
        returning lot_id
    )

    insert into bookingdb.outbox (event, subject_id, payload)
    select 'credits.expiring', c.id, jsonb_build_object(
        'lot_id', c.id,
        'user_id', c.user_id,
        'amount', c.credits_balance,
        'expires_at', bookingdb.iso_utc(c.expires_at),
        'days', ceil(extract(epoch from c.expires_at - v_now) / 86400)::integer
    )
    from noticed as n
    inner join public.user_credits as c on n.lot_id = c.id
    order by c.expires_at, c.id;

    -- More than one batch goes on at once.
    if found then
        return;
    end if;
    delete from bookingdb.expiry_notices as n where n.lot_id = c_no_lot;
    insert into bookingdb.expiry_notices (lot_id, expires_at) values (c_no_lot, v_now + c_pause);
end;
$function$;

comment on function bookingdb.announce_expiring_lots(integer) is
'Writes the event of each lot that ends soon, once for each end it has; looks once a minute. Caller holds: relay_lock().';
