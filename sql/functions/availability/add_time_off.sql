-- Public.
create or replace function bookingdb.add_time_off(
    p_therapist_id uuid,
    p_start timestamptz,
    p_end timestamptz,
    p_reason text default null
)
returns bookingdb.absence
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_period tstzrange;
    v_id uuid;
begin
    perform bookingdb.authorise_therapist(p_therapist_id);
    perform bookingdb.require_instant('p_start', p_start);
    perform bookingdb.require_instant('p_end', p_end);
    if p_end <= p_start then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object('parameter', 'p_end'));
    end if;
    perform bookingdb.require_length('p_reason', p_reason, 0, 1000);
    v_period := tstzrange(p_start, p_end);

    perform bookingdb.lock_people(array[p_therapist_id]);
    -- The same time off again is a retry.
    select c.id
    into v_id
    from bookingdb.calendar as c
    where c.therapist_id = p_therapist_id and c.kind = 'time_off' and c.blocked && v_period and c.period = v_period;
    if v_id is null then
        v_id := gen_random_uuid();
        insert into bookingdb.calendar (id, kind, therapist_id, period, blocked, reason)
        values (v_id, 'time_off', p_therapist_id, v_period, v_period, p_reason);
        perform bookingdb.write_availability_event(p_therapist_id);
    end if;
    return (
        select row(c.id, p_start, p_end, c.reason, bookingdb.sessions_within(p_therapist_id, array[v_period]))
            ::bookingdb.absence
        from bookingdb.calendar as c
        where c.id = v_id
    );
end;
$function$;

comment on function bookingdb.add_time_off(uuid, timestamptz, timestamptz, text) is
'Adds time off of a therapist: nothing can be booked from p_start to p_end any more. Returns it with the ids of the sessions that were booked in it before; they stay, and are to be moved or cancelled. For the therapist themselves and for trusted callers. Raises: invalid_parameter.';
