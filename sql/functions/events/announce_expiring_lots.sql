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
    v_lot public.user_credits;
    v_told integer := 0;
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

    -- Each notice is looked up: a join could read all of both tables.
    for v_lot in
        select c.*
        from public.user_credits as c
        where c.status = 'active'
            and c.expires_at > v_now
            and c.expires_at <= v_now + make_interval(hours => 24 * v_days)
            and c.credits_balance > 0
            and c.user_type = 'user'
        order by c.expires_at
    loop
        continue when exists (
            select from bookingdb.expiry_notices as n where n.lot_id = v_lot.id and n.expires_at = v_lot.expires_at
        );
        -- Another batch comes with the next call.
        if v_told = p_limit then
            return;
        end if;
        v_told := v_told + 1;
        insert into bookingdb.expiry_notices (lot_id, expires_at) values (v_lot.id, v_lot.expires_at);
        insert into bookingdb.outbox (event, subject_id, payload)
        values ('credits.expiring', v_lot.id, jsonb_build_object(
            'lot_id', v_lot.id,
            'user_id', v_lot.user_id,
            'amount', v_lot.credits_balance,
            'expires_at', bookingdb.iso_utc(v_lot.expires_at),
            'days', ceil(extract(epoch from v_lot.expires_at - v_now) / 86400)::integer
        ));
    end loop;
    delete from bookingdb.expiry_notices as n where n.lot_id = c_no_lot;
    insert into bookingdb.expiry_notices (lot_id, expires_at) values (c_no_lot, v_now + c_pause);
end;
$function$;

comment on function bookingdb.announce_expiring_lots(integer) is
'Writes the event of each lot that ends soon, once for each end it has; looks once a minute. Caller holds: relay_lock().';
