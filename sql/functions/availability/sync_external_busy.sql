-- Public.
create or replace function bookingdb.sync_external_busy(
    p_therapist_id uuid,
    p_source text,
    p_events jsonb,
    p_from timestamptz default null,
    p_to timestamptz default null
)
returns bookingdb.synced_busy
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
set timezone = 'UTC'
as $function$
declare
    -- An offset is required: without one the connection's TimeZone would decide.
    c_instant constant text := '^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:.*(Z|[+-][0-9]{2}(:?[0-9]{2})?)$';
    v_event jsonb;
    v_number bigint;
    v_is_valid boolean;
    v_start timestamptz;
    v_end timestamptz;
    v_ids text[] := '{}';
    v_periods tstzrange[] := '{}';
    v_removed_ids text[] := '{}';
    v_synced bookingdb.synced_busy;
begin
    perform bookingdb.authorise_therapist(p_therapist_id);
    perform bookingdb.require_length('p_source', coalesce(p_source, ''), 1, 100);
    -- The source adoption is reserved: its rows stand in for overlapping_sessions, and go with them.
    if p_source = 'adoption' then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_source', 'reserved', 'adoption'
        ));
    end if;
    if p_events is null or jsonb_typeof(p_events) <> 'array' or jsonb_array_length(p_events) > 5000 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_events', 'maximum_events', 5000
        ));
    end if;
    if num_nonnulls(p_from, p_to) = 1 or p_to < p_from then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object('parameter', 'p_to'));
    elsif p_from is not null then
        perform bookingdb.require_instant('p_from', p_from);
        perform bookingdb.require_instant('p_to', p_to);
    end if;

    for v_event, v_number in
        select e.value, e.ordinality
        from jsonb_array_elements(p_events) with ordinality as e
    loop
        v_is_valid := false;
        begin
            if jsonb_typeof(v_event) = 'object'
                and char_length(v_event ->> 'external_id') between 1 and 255
                and coalesce(v_event ->> 'removed', 'false') in ('true', 'false') then
                if v_event ->> 'removed' = 'true' then
                    v_is_valid := true;
                    v_removed_ids := v_removed_ids || (v_event ->> 'external_id');
                elsif v_event ->> 'start_time' ~ c_instant and v_event ->> 'end_time' ~ c_instant then
                    v_start := v_event ->> 'start_time';
                    v_end := v_event ->> 'end_time';
                    v_is_valid := v_start < v_end
                        and v_start >= timestamptz '1900-01-01 00:00:00+00'
                        and v_end < timestamptz '3000-01-01 00:00:00+00';
                    v_ids := v_ids || (v_event ->> 'external_id');
                    v_periods := v_periods || tstzrange(v_start, v_end);
                end if;
            end if;
        exception
            when data_exception then
                v_is_valid := false;
        end;
        if not v_is_valid then
            perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
                'parameter', 'p_events', 'event', v_number
            ));
        end if;
    end loop;
    if (select count(distinct i.id) from unnest(v_ids || v_removed_ids) as i (id))
        < cardinality(v_ids) + cardinality(v_removed_ids) then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_events', 'duplicate', 'external_id'
        ));
    end if;

    perform bookingdb.lock_people(array[p_therapist_id]);
    delete from bookingdb.calendar as c
    where c.therapist_id = p_therapist_id
        and c.kind = 'external'
        and c.external_source = p_source
        and (
            c.external_id = any (v_removed_ids)
            -- p_events has everything that the other calendar has in this time.
            or (c.period && tstzrange(p_from, p_to) and p_from is not null and c.external_id <> all (v_ids))
        );
    get diagnostics v_synced.removed = row_count;

    update bookingdb.calendar as c
    set period = e.period,
        blocked = e.period
    from unnest(v_ids, v_periods) as e (id, period)
    where c.therapist_id = p_therapist_id
        and c.kind = 'external'
        and c.external_source = p_source
        and c.external_id = e.id
        and c.period <> e.period;
    get diagnostics v_synced.updated = row_count;

    insert into bookingdb.calendar (kind, therapist_id, period, blocked, external_source, external_id)
    select 'external', p_therapist_id, e.period, e.period, p_source, e.id
    from unnest(v_ids, v_periods) as e (id, period)
    on conflict (therapist_id, external_source, external_id) where kind = 'external' do nothing;
    get diagnostics v_synced.inserted = row_count;

    v_synced.session_ids := bookingdb.sessions_within(p_therapist_id, v_periods);
    if v_synced.inserted + v_synced.updated + v_synced.removed > 0 then
        perform bookingdb.write_availability_event(p_therapist_id);
    end if;
    return v_synced;
end;
$function$;

comment on function bookingdb.sync_external_busy(uuid, text, jsonb, timestamptz, timestamptz) is
'Updates the appointments that a therapist has in another calendar (p_source, a name of yours): nothing can be booked over them. p_events is an array of up to 5000 objects such as {"external_id": "a1", "start_time": "2030-01-07T09:00:00Z", "end_time": "2030-01-07T10:00:00Z"}, or {"external_id": "a1", "removed": true}. With p_from and p_to, appointments of the source in that time that p_events does not name are removed. Returns how many rows were inserted, updated and removed, and the ids of sessions that the appointments overlap. For the therapist themselves and for trusted callers. Raises: invalid_parameter.';
