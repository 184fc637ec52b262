-- Public.
create or replace function bookingdb.relay_events(p_limit integer default 1000)
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_after bigint := 0;
    v_ids bigint[];
    v_free bigint[];
    v_subjects uuid[];
    v_blocked uuid[] := '{}';
    v_taken bigint[] := '{}';
    v_event record;
begin
    perform bookingdb.authorise_worker();
    if (p_limit between 1 and 10000) is not true then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_limit', 'minimum', 1, 'maximum', 10000
        ));
    end if;
    -- One relays at a time, for everybody.
    if not pg_try_advisory_xact_lock(bookingdb.relay_lock()) then
        return 0;
    end if;
    perform bookingdb.announce_expiring_lots(p_limit);

    loop
        -- Each change locks its subject, so the ids of one subject are in the order of its commits. Ids of other
        -- subjects may still appear between these: rows are known by handled_at, and no id is remembered.
        v_ids := array(
            select e.id
            from bookingdb.outbox as e
            where e.handled_at is null and e.id > v_after
            order by e.id
            limit p_limit
        );
        exit when v_ids = '{}';
        v_after := v_ids[cardinality(v_ids)];
        -- Somebody may have a row: an erasure, or a consumer of the application's own. It waits, and its subject's
        -- later events wait with it.
        v_free := array(
            select e.id
            from bookingdb.outbox as e
            where e.id = any (v_ids) and e.handled_at is null
            order by e.id
            for no key update skip locked
        );
        v_subjects := array(
            select distinct t.subject_id
            from bookingdb.outbox as e
            cross join lateral bookingdb.typed_events(e) as t
            where e.id = any (v_free)
        );
        v_blocked := v_blocked || array(
            select e.subject_id
            from bookingdb.outbox as e
            where e.id = any (v_ids) and e.id <> all (v_free) and e.handled_at is null
        ) || array(select b.subject_id from bookingdb.subjects_being_sent(v_subjects) as b (subject_id));
        for v_event in
            select e.id, array_agg(t.subject_id) || e.subject_id as subjects
            from bookingdb.outbox as e
            cross join lateral bookingdb.typed_events(e) as t
            where e.id = any (v_free)
            group by e.id
            order by e.id
        loop
            if v_event.subjects && v_blocked then
                v_blocked := v_blocked || v_event.subjects;
            else
                v_taken := v_taken || v_event.id;
            end if;
        end loop;
        -- Where nothing can be taken, others may stand behind it.
        exit when v_taken <> '{}';
    end loop;

    perform bookingdb.make_deliveries(v_taken);
    update bookingdb.outbox as e
    set handled_at = clock_timestamp()
    where e.id = any (v_taken);
    return cardinality(v_taken);
end;
$function$;

comment on function bookingdb.relay_events(integer) is
'Makes deliveries of events that nobody has handled: one for each destination that wants it, exactly once, in the order of each subject. At most p_limit events (1 to 10000) a call; returns how many were handled, and 0 where somebody else relays. Call it in a transaction of its own, in READ COMMITTED. For trusted callers that are workers. Raises: invalid_parameter.';
