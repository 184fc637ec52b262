-- sync_external_busy(): bring the appointments that a therapist has in another calendar up to date.
begin;
\ir include/setup.sql
select plan(9);

select pg_temp.is_declared($$
    sync_external_busy(
        p_therapist_id uuid, p_source text, p_events jsonb, p_from timestamptz default null,
        p_to timestamptz default null
    )
    returns table (
        inserted integer, updated integer, removed integer, session_ids uuid[], rejected jsonb, ignored integer
    )
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('sync_external_busy', 'authenticated', 'service_role');

-- Given
select pg_temp.book('booked', '10:00');
create function pg_temp.appointment(p_id text, p_time time) returns jsonb language sql stable
return jsonb_build_object(
    'external_id', p_id, 'start_time', pg_temp.at(p_time), 'end_time', pg_temp.at(p_time) + interval '1 hour'
);

-- Example
select pg_temp.act_as('authenticated', pg_temp.therapist());
select results_eq(
    $$
        select y.inserted, y.updated, y.removed, y.session_ids
        from public.sync_external_busy(
            pg_temp.therapist(), 'work',
            jsonb_build_array(pg_temp.appointment('a', '10:30'), pg_temp.appointment('b', '14:00'))
        ) as y
    $$,
    $$ values (2, 0, 0, array[pg_temp.session('booked')]) $$,
    'two appointments are new, and the therapist is told which session they overlap'
);
select results_eq(
    $$
        select y.inserted, y.updated, y.removed
        from public.sync_external_busy(
            pg_temp.therapist(), 'work',
            jsonb_build_array(pg_temp.appointment('a', '12:30'), '{"external_id": "b", "removed": true}'::jsonb)
        ) as y
    $$,
    $$ values (0, 1, 1) $$,
    'then one has moved, and one is gone'
);
reset role;
select results_eq(
    $$ select a.external_source, a.external_id, a.period from bookingdb.absences as a where a.kind = 'external' $$,
    $$ values ('work', 'a', tstzrange(pg_temp.at('12:30'), pg_temp.at('13:30'))) $$,
    'each is a row of the calendar'
);
select is(
    public.check_booking_conflict(pg_temp.therapist(), pg_temp.monday(), '13:00', '14:00'), true,
    'nothing can be booked over them'
);
select is(
    pg_temp.events(pg_temp.therapist()), array['availability.changed', 'availability.changed'],
    'one event tells of each time'
);

select results_eq(
    $$
        select y.inserted, y.rejected, y.ignored
        from public.sync_external_busy(
            pg_temp.therapist(), 'work',
            jsonb_build_array(
                pg_temp.appointment('c', '18:00'), jsonb '{"external_id": "d"}',
                jsonb '{"external_id": "e", "status": "cancelled"}'
            )
        ) as y
    $$,
    $$ values (1, jsonb '[{"event": 2, "external_id": "d", "reason": "invalid_start_time"}]', 1) $$,
    'one that cannot be read is returned, and refuses no other'
);

-- Refusal
select results_eq(
    $$
        select e.*
        from pg_temp.error_of('select public.sync_external_busy(pg_temp.therapist(), ''work'', ''{}'')') as e
    $$,
    $$
        values (
            'PT400', 'Invalid parameter',
            jsonb '{"code": "invalid_parameter", "parameter": "p_events", "maximum_events": 5000}'
        )
    $$,
    'what is no array of events is refused as a whole'
);

select * from finish();
rollback;
