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
    select c.id
    into v_id
    from bookingdb.calendar as c
    where c.therapist_id = p_therapist_id and c.kind = 'time_off' and c.blocked && p_period and c.period = p_period;
    if v_id is null then
        v_id := bookingdb.new_id();
        insert into bookingdb.calendar (id, kind, therapist_id, period, blocked, reason)
        values (v_id, 'time_off', p_therapist_id, p_period, p_period, p_reason);
        perform bookingdb.write_availability_event(p_therapist_id);
    end if;
    return (
        select row(
            c.id, lower(p_period), upper(p_period), c.reason,
            bookingdb.sessions_within(p_therapist_id, array[p_period])
        )::bookingdb.absence
        from bookingdb.calendar as c
        where c.id = v_id
    );
end;
$function$;

comment on function bookingdb.write_time_off(uuid, tstzrange, text) is
'Gives a therapist time off, once for the same period, and returns it with the sessions in it. Caller holds: an authorisation for the therapist.';
