create or replace function bookingdb.subjects_being_sent(p_subjects uuid[])
returns setof uuid
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_last uuid[];
    v_locked uuid[];
begin
    -- The last unfinished delivery of each line, and the reminders of each session and person, which will be planned
    -- anew.
    v_last := array(
        select distinct on (d.subject_id, d.destination_id, d.recipient_id) d.id
        from bookingdb.deliveries as d
        where d.status = 'pending'
            and d.destination_id = any (array(select n.id from bookingdb.destinations as n))
            and d.subject_id = any (p_subjects)
        order by d.subject_id, d.destination_id, d.recipient_id, d.event_id desc, d.part desc
    ) || array(
        select r.id
        from unnest(p_subjects) as s (id)
        -- offset 0 makes each a look-up, whatever the statistics say.
        cross join lateral (
            select d.id
            from bookingdb.deliveries as d
            where d.type = 'session.reminder' and d.data ->> 'session_id' = s.id::text
            offset 0
        ) as r
    ) || array(
        select p.id
        from (
            select d.id, d.type
            from bookingdb.deliveries as d
            where d.recipient_id = any (p_subjects) and d.recipient_id <> '00000000-0000-0000-0000-000000000000'
            -- A condition on the type in here would be answered by the index of sessions, read from end to end.
            offset 0
        ) as p
        where p.type = 'session.reminder'
    );
    v_locked := array(
        select d.id
        from bookingdb.deliveries as d
        where d.id = any (v_last)
        for no key update skip locked
    );
    return query
    select s.subject_id
    from bookingdb.deliveries as d
    cross join lateral (
        values (d.subject_id), (bookingdb.uuid_of(d.data ->> 'session_id')), (d.recipient_id)
    ) as s (subject_id)
    where d.id = any (v_last) and d.id <> all (v_locked) and s.subject_id = any (p_subjects);
end;
$function$;

comment on function bookingdb.subjects_being_sent(uuid[]) is
'Locks what unfinished deliveries tell of these subjects, so that a worker that finishes one finds its successor, and returns the subjects that somebody else has locked: they wait.';
