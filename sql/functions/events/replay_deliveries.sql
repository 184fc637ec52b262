-- Public.
create or replace function bookingdb.replay_deliveries(
    p_destination text,
    p_delivery_id uuid default null,
    p_from timestamptz default null,
    p_to timestamptz default null,
    p_status text default 'dead'
)
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
    v_destination bookingdb.destinations;
    v_ids uuid[];
    v_subjects uuid[];
begin
    perform bookingdb.authorise_trusted();
    v_destination := bookingdb.find_destination(p_destination);
    perform bookingdb.require_delivery_status('p_status', p_status);
    if p_to < p_from then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_to', 'reason', 'before_from'
        ));
    end if;
    if current_setting('transaction_isolation') <> 'read committed' then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'transaction_isolation', 'allowed', 'read committed'
        ));
    end if;
    perform pg_advisory_xact_lock(bookingdb.relay_lock());

    -- Reminders have a moment, and are over afterwards; tests are asked for one by one. What is being sent is.
    v_ids := array(
        select d.id
        from bookingdb.deliveries as d
        where d.id = p_delivery_id
            and d.destination_id = v_destination.id
            and d.token is null
            and d.type <> 'session.reminder'
        for no key update
    );
    if p_delivery_id is null then
        v_ids := array(
            select d.id
            from bookingdb.deliveries as d
            where d.destination_id = v_destination.id
                and d.status = coalesce(p_status, d.status)
                and d.token is null
                and d.type <> all ('{session.reminder,bookingdb.test}'::text[])
                and d.created_at >= coalesce(p_from, '-infinity')
                and d.created_at < coalesce(p_to, 'infinity')
            for no key update
        );
    end if;
    v_subjects := array(select distinct d.subject_id from bookingdb.deliveries as d where d.id = any (v_ids));
    -- A worker that finishes one of these lines meanwhile waits, and then finds what is to be sent again.
    perform
    from bookingdb.deliveries as d
    where d.destination_id = v_destination.id and d.subject_id = any (v_subjects) and d.status = 'pending'
    -- As finish_delivery() locks: one of a line, and then the next.
    order by d.subject_id, d.recipient_id, d.is_next desc, d.event_id, d.part
    for no key update;

    update bookingdb.deliveries as d
    set status = 'pending', finished_at = null, attempts = 0, due_at = clock_timestamp()
    where d.id = any (v_ids);
    -- The oldest of a line is next; one that is being sent stays so until it is finished.
    update bookingdb.deliveries as d
    set is_next = false
    where d.destination_id = v_destination.id
        and d.subject_id = any (v_subjects)
        and d.is_next
        and d.token is null;
    update bookingdb.deliveries as d
    set is_next = true
    where d.id in (
        select distinct on (n.subject_id, n.recipient_id) n.id
        from bookingdb.deliveries as n
        where n.destination_id = v_destination.id and n.subject_id = any (v_subjects) and n.status = 'pending'
            and not exists (
                select from bookingdb.deliveries as k
                where k.destination_id = n.destination_id
                    and k.subject_id = n.subject_id
                    and k.recipient_id = n.recipient_id
                    and k.is_next
            )
        order by n.subject_id, n.recipient_id, n.event_id, n.part
    );
    return cardinality(v_ids);
end;
$function$;

comment on function bookingdb.replay_deliveries(text, uuid, timestamptz, timestamptz, text) is
'Lets deliveries of a destination be sent again, with the ids that they have: p_delivery_id alone, or all of a status (dead, delivered, dropped, or pending: at once instead of later; NULL: all) that were made from p_from to before p_to. Reminders, and tests that are not named, are not sent again. Returns how many. For trusted callers. Raises: invalid_parameter.';
