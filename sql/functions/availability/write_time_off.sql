create or replace function bookingdb.write_time_off(p_therapist_id uuid, p_period tstzrange, p_reason text)
returns bookingdb.absence
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_id uuid;
begin
    perform bookingdb.lock_people(array[p_therapist_id]);
    -- The same time off again is a retry.
    select a.id
    into v_id
    from bookingdb.absences as a
    where a.therapist_id = p_therapist_id and a.period && p_period and a.period = p_period and a.kind = 'time_off';
    if v_id is null then
        v_id := bookingdb.new_id();
        insert into bookingdb.absences (id, kind, therapist_id, period, reason)
        values (v_id, 'time_off', p_therapist_id, p_period, p_reason);
        perform bookingdb.write_availability_event(p_therapist_id);
    end if;
    return (
        select row(
            a.id, lower(p_period), upper(p_period), a.reason,
            bookingdb.sessions_within(p_therapist_id, array[p_period])
        )::bookingdb.absence
        from bookingdb.absences as a
        where a.id = v_id
    );
end;
$function$;

comment on function bookingdb.write_time_off(uuid, tstzrange, text) is
'Gives a therapist time off, once for the same period, and returns it with the sessions in it. Caller holds: an authorisation for the therapist.';
