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
    v_events bookingdb.external_event[];
    -- Those whose rows go; those whose rows are not missing from p_events; those of which nothing is known.
    v_gone_ids text[];
    v_named_ids text[];
    v_rejected_uids text[];
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
    if num_nonnulls(p_from, p_to) = 1 or p_to < p_from then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_to', 'reason', case when p_to < p_from then 'before_from' else 'given_alone' end
        ));
    elsif p_from is not null then
        perform bookingdb.require_instant('p_from', p_from);
        perform bookingdb.require_instant('p_to', p_to);
    end if;

    -- 1. Each event is read by itself: a bad one refuses no other.
    v_events := bookingdb.read_external_events(p_events, p_therapist_id);
    select
        coalesce(array_agg(e.external_id) filter (where e.outcome in ('removed', 'free')), '{}'),
        coalesce(array_agg(e.external_id) filter (where e.external_id is not null), '{}'),
        coalesce(array_agg(e.uid) filter (where e.outcome = 'rejected' and e.uid is not null), '{}'),
        coalesce(jsonb_agg(
            jsonb_build_object('event', e.number, 'external_id', e.external_id, 'reason', e.reason) order by e.number
        ) filter (where e.outcome = 'rejected'), '[]'),
        count(*) filter (where e.outcome = 'free')
    into v_gone_ids, v_named_ids, v_rejected_uids, v_synced.rejected, v_synced.ignored
    from unnest(v_events) as e;

    -- 2. The absences follow.
    perform bookingdb.lock_people(array[p_therapist_id]);
    delete from bookingdb.absences as a
    where a.therapist_id = p_therapist_id
        and a.kind = 'external'
        and a.external_source = p_source
        and (
            a.external_id = any (v_gone_ids)
            -- p_events has everything that the other calendar has in this time. An event that was rejected says nothing
            -- about its time: its row stays, and so do the occurrences of its series.
            or (
                a.period && tstzrange(p_from, p_to)
                and p_from is not null
                and a.external_id <> all (v_named_ids)
                and not exists (
                    select from unnest(v_rejected_uids) as r (uid) where starts_with(a.external_id, r.uid || '/')
                )
            )
        );
    get diagnostics v_synced.removed = row_count;

    update bookingdb.absences as a
    set period = e.period
    from unnest(v_events) as e
    where a.therapist_id = p_therapist_id
        and a.kind = 'external'
        and a.external_source = p_source
        and a.external_id = e.external_id
        and e.outcome = 'busy'
        and a.period <> e.period;
    get diagnostics v_synced.updated = row_count;

    insert into bookingdb.absences (kind, therapist_id, period, external_source, external_id)
    select 'external', p_therapist_id, e.period, p_source, e.external_id
    from unnest(v_events) as e
    where e.outcome = 'busy'
    on conflict (therapist_id, external_source, external_id) where kind = 'external' do nothing;
    get diagnostics v_synced.inserted = row_count;

    v_synced.session_ids := bookingdb.sessions_within(p_therapist_id, array(
        select e.period from unnest(v_events) as e where e.outcome = 'busy'
    ));
    if v_synced.inserted + v_synced.updated + v_synced.removed > 0 then
        perform bookingdb.write_availability_event(p_therapist_id);
    end if;
    return v_synced;
end;
$function$;

comment on function bookingdb.sync_external_busy(uuid, text, jsonb, timestamptz, timestamptz) is
'Updates the appointments that a therapist has in another calendar (p_source, a name of yours): nothing can be booked over them. p_events is an array of up to 5000 objects with external_id, start_time and end_time (with an offset, local to the therapist, or dates), or {"external_id": "a1", "removed": true}. Cancelled, free and zero-length ones block nothing, nor do the therapist''s own sessions that come back. What cannot be read is returned in rejected; the rest is taken. With p_from and p_to, appointments of the source in that time that p_events does not name are removed. Returns how many rows were inserted, updated and removed, the ids of sessions that the appointments overlap, what was rejected, and how many events block nothing (ignored). For the therapist themselves and for trusted callers. Raises: invalid_parameter.';
