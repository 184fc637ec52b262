-- Lets the times of sessions that were written while bookingdb was uninstalled agree, as for a direct writer: what was
-- not written follows what was. It comes before the triggers, so that nothing else follows yet.
do $times$
declare
    v_row record;
    v_time_zone text;
    v_old public.sessions;
    v_new public.sessions;
begin
    if (
        :is_kept
    ) is not true then
        return;
    end if;
    lock table public.user_credits, public.sessions, public.users, public.booking_audit_log in access exclusive mode;

    for v_row in
        select s as session, c.period
        from public.sessions as s
        left join (
            select k.id, k.period
            from bookingdb.calendar as k
            where k.kind = 'session'
            union all
            select a.id, a.period
            from bookingdb.absences as a
            where a.external_source = 'adoption'
        ) as c on c.id = s.id
        where coalesce(s.end_time > now() or upper(c.period) > now(), true)
            and (
                c.id is not null
                or (
                    select l.action = 'deleted'
                    from public.booking_audit_log as l
                    where l.session_id = s.id
                    order by l.entry desc
                    limit 1
                ) is not false
            )
    loop
        begin
            v_old := null;
            if v_row.period is not null then
                v_time_zone := coalesce(
                    (select z.name from bookingdb.time_zones as z where z.name = (v_row.session).time_zone),
                    (bookingdb.policy_of((v_row.session).therapist_id)).time_zone
                );
                v_old := jsonb_populate_record(v_row.session, jsonb_build_object(
                    'start_time', lower(v_row.period),
                    'end_time', upper(v_row.period),
                    'scheduled_date', (lower(v_row.period) at time zone v_time_zone)::date,
                    'scheduled_time', (lower(v_row.period) at time zone v_time_zone)::time,
                    'duration_minutes', extract(epoch from upper(v_row.period) - lower(v_row.period))::integer / 60
                ));
            end if;
            v_new := v_row.session;
            if v_row.period is null
                or (
                    v_new.scheduled_date, v_new.scheduled_time, v_new.start_time, v_new.end_time,
                    v_new.duration_minutes
                ) is distinct from (
                    v_old.scheduled_date, v_old.scheduled_time, v_old.start_time, v_old.end_time,
                    v_old.duration_minutes
                ) then
                v_new := bookingdb.times_together(v_old, v_new);
            end if;
            update public.sessions as s
            set scheduled_date = v_new.scheduled_date,
                scheduled_time = v_new.scheduled_time,
                start_time = v_new.start_time,
                end_time = v_new.end_time,
                duration_minutes = v_new.duration_minutes,
                free_cancellation_until = v_new.free_cancellation_until
            where s.id = v_new.id and v_new is distinct from v_row.session;
        exception
            -- Times that contradict each other stay, and verify lists them.
            when others then
                null;
        end;
    end loop;
end;
$times$
