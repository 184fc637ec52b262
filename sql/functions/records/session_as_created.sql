create or replace function bookingdb.session_as_created(p_session_id uuid)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
declare
    c_columns constant text[] := array[
        'user_id', 'therapist_id', 'start_time', 'end_time', 'scheduled_date', 'scheduled_time', 'duration_minutes',
        'time_zone', 'session_type', 'free_cancellation_until', 'series_id', 'hours_overridden'
    ];
    v_session jsonb;
    v_first jsonb;
begin
    select to_jsonb(s.*)
    into v_session
    from public.sessions as s
    where s.id = p_session_id;
    if v_session is null then
        -- The row is gone. The event of its deletion, where it is still there, says what it was.
        select e.payload
        into v_session
        from bookingdb.events_about(p_session_id, array(
            select a.created_at
            from public.booking_audit_log as a
            where a.session_id = p_session_id and a.action = 'deleted'
        )) as e
        where e.event = 'session.deleted'
        order by e.id desc
        limit 1;
    end if;

    -- A column had its first old value from the beginning.
    select jsonb_object_agg(f.key, f.old)
    into v_first
    from (
        select distinct on (c.key) c.key, c.value -> 'old' as old
        from public.booking_audit_log as a
        cross join lateral jsonb_each(bookingdb.resolved_changes(a.changes)) as c
        where a.session_id = p_session_id and a.action in ('updated', 'status_changed')
        order by c.key, a.entry
    ) as f;
    v_session := coalesce(v_session, '{}') || coalesce(v_first, '{}');

    return (
        select coalesce(jsonb_object_agg(k.name, v_session -> k.name), '{}')
        from unnest(c_columns) as k (name)
        where v_session -> k.name <> 'null'
    );
end;
$function$;

comment on function bookingdb.session_as_created(uuid) is
'Returns what a session was when it was written first, as far as the records tell: people, times, kind, cancellation terms.';
