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
begin
    perform bookingdb.authorise_therapist(p_therapist_id);
    perform bookingdb.require_instant('p_start', p_start);
    perform bookingdb.require_instant('p_end', p_end);
    if p_end <= p_start then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_end', 'reason', 'not_after_start'
        ));
    end if;
    perform bookingdb.require_length('p_reason', p_reason, 0, 1000);
    return bookingdb.write_time_off(p_therapist_id, tstzrange(p_start, p_end), p_reason);
end;
$function$;

comment on function bookingdb.add_time_off(uuid, timestamptz, timestamptz, text) is
'Adds time off of a therapist: nothing can be booked from p_start to p_end any more. Returns it with the ids of the sessions that were booked in it before; they stay, and are to be moved or cancelled. Dates given to it mean midnight in the connection''s TimeZone: for whole days of the therapist''s zone call add_days_off(). For the therapist themselves and for trusted callers. Raises: invalid_parameter.';
