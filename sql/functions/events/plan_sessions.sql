create or replace function bookingdb.plan_sessions(
    p_session_ids uuid[],
    p_since timestamptz,
    p_rule text default null,
    p_person_id uuid default null
)
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $function$
declare
    v_planned integer;
begin
    -- Rules and destinations are few, and looked at once.
    with wanted as materialized (
        select r.name, r.before, r.audience, r.channel, r.heeds_quiet_hours, d.id as destination_id,
            greatest(p_since, r.updated_at, d.updated_at) as since
        from bookingdb.reminder_rules as r
        inner join bookingdb.destinations as d on bookingdb.reminds_by(d, r.channel)
        where p_rule is null or r.name = p_rule
    )

    insert into bookingdb.deliveries as o (
        destination_id, type, subject_id, recipient_id, data, occurred_at, is_next, due_at
    )
    select
        r.destination_id,
        'session.reminder' as type,
        bookingdb.reminder_subject(s.id, r.name, s.start_time) as subject_id,
        a.person_id,
        jsonb_build_object(
            'session_id', s.id,
            'user_id', s.user_id,
            'therapist_id', s.therapist_id,
            'start_time', bookingdb.iso_utc(s.start_time),
            'end_time', bookingdb.iso_utc(s.end_time),
            'rule', r.name,
            'channel', r.channel,
            'recipient', a.part
        ) as data,
        m.due_at as occurred_at,
        true as is_next,
        m.due_at
    from unnest(p_session_ids) as i (id)
    -- offset 0 makes each a look-up by id, whatever the statistics say.
    cross join lateral (
        select n.* from public.sessions as n where n.id = i.id offset 0
    ) as s
    cross join wanted as r
    cross join lateral (
        values ('client', s.user_id), ('therapist', s.therapist_id)
    ) as a (part, person_id)
    left join lateral (
        select n as contact
        from bookingdb.contacts as n
        where n.person_id = a.person_id and n.quiet_from is not null and r.heeds_quiet_hours
        offset 0
    ) as c on true
    cross join lateral (
        select case
            when (c.contact).person_id is null then s.start_time - r.before
            else bookingdb.before_quiet_hours(s.start_time - r.before, c.contact)
        end as due_at
    ) as m
    where s.status in ('scheduled', 'confirmed')
        and s.start_time > clock_timestamp()
        and a.part = any (r.audience)
        and a.person_id is not null
        -- A direct writer may have written one person as both: they are reminded once.
        and (a.part = 'client' or a.person_id is distinct from s.user_id or 'client' <> all (r.audience))
        -- What was past when the rule or the destination was made is none, either.
        and m.due_at > r.since
        and (p_person_id is null or a.person_id = p_person_id)
    on conflict (subject_id, destination_id, recipient_id) where event_id is null do update
    -- One that was dropped revives; one that waits moves. What was sent, or is being sent, stays.
    set status = 'pending',
        is_next = true,
        occurred_at = excluded.due_at,
        due_at = excluded.due_at,
        data = excluded.data,
        attempts = 0,
        detail = null,
        finished_at = null
    where o.status = 'dropped'
        or (
            o.status = 'pending' and o.token is null and o.attempts = 0
            and (o.due_at <> excluded.due_at or o.data <> excluded.data)
        );
    get diagnostics v_planned = row_count;
    return v_planned;
end;
$function$;

comment on function bookingdb.plan_sessions(uuid[], timestamptz, text, uuid) is
'Makes a delivery of each reminder of these sessions whose moment is after p_since, of one rule or person alone if asked, and returns how many were made or moved.';
