-- Public.
create or replace function bookingdb.add_days_off(
    p_therapist_id uuid,
    p_first_date date,
    p_last_date date,
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
    v_time_zone text;
begin
    perform bookingdb.authorise_therapist(p_therapist_id);
    if p_first_date is null or p_first_date not between date '1900-01-01' and date '2999-12-31'
        or p_last_date is null or p_last_date not between date '1900-01-01' and date '2999-12-31' then
        perform bookingdb.raise_error('invalid_date');
    end if;
    if p_last_date < p_first_date then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_last_date', 'reason', 'before_first_date'
        ));
    end if;
    perform bookingdb.require_length('p_reason', p_reason, 0, 1000);

    -- set_policy() takes this lock, too: the zone read under it is the therapist's current one.
    perform bookingdb.lock_people(array[p_therapist_id]);
    v_time_zone := (bookingdb.policy_of(p_therapist_id)).time_zone;
    perform bookingdb.require_time_zone(v_time_zone);
    return bookingdb.write_time_off(
        p_therapist_id,
        tstzrange(
            bookingdb.wall_clock_instant(p_first_date, v_time_zone),
            bookingdb.wall_clock_instant(p_last_date + 1, v_time_zone)
        ),
        p_reason
    );
end;
$function$;

comment on function bookingdb.add_days_off(uuid, date, date, text) is
'Adds whole days off of a therapist, from p_first_date to p_last_date (both included), from midnight to midnight in the therapist''s zone: nothing can be booked on them any more. Returns them as add_time_off() does. For the therapist themselves and for trusted callers. Raises: invalid_date, invalid_parameter.';
