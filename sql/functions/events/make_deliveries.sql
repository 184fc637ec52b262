create or replace function bookingdb.make_deliveries(p_event_ids bigint[])
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_session_id uuid;
    v_person_id uuid;
begin
    insert into bookingdb.deliveries (
        destination_id, event_id, part, type, subject_id, recipient_id, data, occurred_at, is_next
    )
    select
        w.destination_id, w.event_id, w.part, w.type, w.subject_id, w.recipient_id, w.data, w.created_at,
        -- The first of its line, and none before it. (Postgres would answer an EXISTS here by reading the whole table.)
        row_number() over (
            partition by w.destination_id, w.subject_id, w.recipient_id order by w.event_id, w.part
        ) = 1
        and (
            select true
            from bookingdb.deliveries as p
            where p.subject_id = w.subject_id
                and p.destination_id = w.destination_id
                and p.recipient_id = w.recipient_id
                and p.status = 'pending'
            limit 1
        ) is null
    from (
        select d.id as destination_id, e.id as event_id, n.part, n.type, n.subject_id, r.id as recipient_id, n.data,
            e.created_at
        from bookingdb.outbox as e
        cross join lateral bookingdb.typed_events(e) as t
        inner join bookingdb.destinations as d on d.is_enabled and d.starts_at <= e.created_at
        -- The names of the version before, where a destination asks for them.
        cross join lateral (
            select t.part, t.type, t.subject_id, t.data
            where (d.settings ->> 'old_names') is distinct from 'true'
            union all
            select 0, e.event, e.subject_id, e.payload
            where d.settings ->> 'old_names' = 'true' and t.part = 0
        ) as n
        cross join lateral bookingdb.event_recipients(d.kind, d.settings, n.data) as r (id)
        where e.id = any (p_event_ids) and bookingdb.event_is_wanted(d.events, n.type)
    ) as w;

    if exists (
        select from bookingdb.destinations as d
        where d.is_enabled and bookingdb.event_is_wanted(d.events, 'session.reminder')
    ) then
        for v_session_id in
            select distinct e.subject_id
            from bookingdb.outbox as e
            where e.id = any (p_event_ids) and e.event like 'session.%'
        loop
            begin
                perform bookingdb.plan_reminders(v_session_id);
            exception
                when others then
                    raise warning 'the reminders of session % are not planned: % %', v_session_id, sqlstate, sqlerrm;
            end;
        end loop;
        for v_person_id in
            select distinct e.subject_id
            from bookingdb.outbox as e
            where e.id = any (p_event_ids) and e.event = 'contact.changed'
        loop
            begin
                perform bookingdb.plan_reminders_of(v_person_id);
            exception
                when others then
                    raise warning 'the reminders of person % are not planned: % %', v_person_id, sqlstate, sqlerrm;
            end;
        end loop;
    end if;
end;
$function$;

comment on function bookingdb.make_deliveries(bigint[]) is
'Makes the deliveries of these events, and plans the reminders of their sessions and people. Caller holds: relay_lock(), the events, and the last unfinished delivery of each line.';
