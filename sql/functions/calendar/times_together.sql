create or replace function bookingdb.times_together(p_old public.sessions, p_new public.sessions)
returns public.sessions
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_is_new constant boolean := p_old.id is null;
    v_new public.sessions := p_new;
    v_policy bookingdb.effective_policy;
    v_time_zone text;
    v_has_local boolean;
    v_has_start boolean;
    v_has_end boolean;
    v_has_duration boolean;
    v_local timestamp;
    v_moved public.sessions;
begin
    v_policy := bookingdb.policy_of(v_new.therapist_id);
    v_time_zone := coalesce(
        (select z.name from bookingdb.time_zones as z where z.name = v_new.time_zone), v_policy.time_zone
    );
    v_has_local := v_is_new
        or (v_new.scheduled_date, v_new.scheduled_time, v_new.time_zone)
        is distinct from (p_old.scheduled_date, p_old.scheduled_time, p_old.time_zone);
    v_has_start := v_is_new or v_new.start_time is distinct from p_old.start_time;
    v_has_end := v_is_new or v_new.end_time is distinct from p_old.end_time;
    v_has_duration := v_is_new or v_new.duration_minutes is distinct from p_old.duration_minutes;

    perform bookingdb.require_time_zone(v_time_zone);

    -- 1. What is written must be a time that arithmetic can use. What was there before may be anything.
    if v_has_start and v_new.start_time is not null then
        perform bookingdb.require_instant('start_time', v_new.start_time);
    end if;
    if v_has_end and v_new.end_time is not null then
        perform bookingdb.require_instant('end_time', v_new.end_time);
    end if;
    if v_new.scheduled_date between date '1900-01-01' and date '2999-12-31' then
        v_local := v_new.scheduled_date + v_new.scheduled_time;
    elsif v_new.scheduled_date is not null
        and (v_is_new or v_new.scheduled_date is distinct from p_old.scheduled_date) then
        perform bookingdb.raise_error('invalid_date');
    end if;
    if v_has_duration and v_new.duration_minutes not between 0 and 10080 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'duration_minutes', 'minimum', 0, 'maximum', 10080
        ));
    end if;

    -- 2. The start follows the local time that was written without it, and the end keeps its distance. A time that
    -- occurs twice stays the one it is.
    if v_local is not null
        and (case when v_is_new then v_new.start_time is null else v_has_local and not v_has_start end)
        and not coalesce(
            v_new.start_time >= timestamptz '1900-01-01 00:00:00+00'
            and v_new.start_time < timestamptz '3000-01-01 00:00:00+00'
            and v_new.start_time at time zone v_time_zone = v_local, false
        ) then
        v_new.start_time := bookingdb.wall_clock_instant(v_local, v_time_zone);
        if v_new.start_time at time zone v_time_zone <> v_local then
            perform bookingdb.raise_error('skipped_time', jsonb_build_object('time_zone', v_time_zone));
        end if;
        if not v_is_new
            and not v_has_end
            and not v_has_duration
            and isfinite(p_old.start_time)
            and isfinite(p_old.end_time) then
            -- The length is kept in seconds: a local day can have 23 hours.
            v_new.end_time := v_new.start_time + make_interval(
                secs => extract(epoch from p_old.end_time)::float8 - extract(epoch from p_old.start_time)::float8
            );
        end if;

    -- The local time follows the start that was written without it.
    elsif v_has_start and v_new.start_time is not null and (v_is_new or not v_has_local) then
        v_new.scheduled_date := coalesce(
            case when v_is_new then v_new.scheduled_date end, (v_new.start_time at time zone v_time_zone)::date
        );
        v_new.scheduled_time := coalesce(
            case when v_is_new then v_new.scheduled_time end, (v_new.start_time at time zone v_time_zone)::time
        );
    end if;

    -- A new session keeps the zone that its times are judged by: its therapist may change, and theirs.
    if v_is_new and v_new.time_zone is null and v_new.start_time is not null then
        v_new.time_zone := v_time_zone;
    end if;

    -- 3. The end follows the duration that was written without it, else the duration follows the end.
    if isfinite(v_new.start_time)
        and v_new.duration_minutes > 0
        and (case when v_is_new then v_new.end_time is null else v_has_duration and not v_has_end end) then
        v_new.end_time := v_new.start_time + make_interval(mins => v_new.duration_minutes);
    elsif v_new.start_time < v_new.end_time
        and isfinite(v_new.start_time)
        and v_new.end_time <= v_new.start_time + interval '10080 minutes'
        and (
            v_new.duration_minutes is null
            or (
                not v_is_new
                and not v_has_duration
                and (v_has_end or v_new.start_time is distinct from p_old.start_time)
            )
            -- An application's default was written by nobody.
            or (v_is_new and bookingdb.duration_has_default())
        ) then
        v_new.duration_minutes := extract(epoch from v_new.end_time - v_new.start_time)::integer / 60;
    end if;

    -- 4. What follows must be in range as well. A session that takes place keeps its time: without one it would leave
    -- the calendar, and others would book it. What was written must agree.
    if v_new.start_time is distinct from p_old.start_time and v_new.start_time is not null then
        perform bookingdb.require_instant('start_time', v_new.start_time);
    end if;
    if v_new.end_time is distinct from p_old.end_time and v_new.end_time is not null then
        perform bookingdb.require_instant('end_time', v_new.end_time);
    end if;
    if bookingdb.occupies_time(v_new.status) then
        if v_new.start_time is null and p_old.start_time is not null then
            perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
                'parameter', 'start_time', 'reason', 'missing'
            ));
        end if;
        if v_new.end_time is null and p_old.end_time is not null then
            perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
                'parameter', 'end_time', 'reason', 'missing'
            ));
        end if;
        if v_has_duration
            and v_new.duration_minutes = 0
            and v_new.start_time is not null
            and v_new.end_time is null then
            perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
                'parameter', 'duration_minutes', 'minimum', 1, 'maximum', 10080
            ));
        end if;
    end if;
    perform bookingdb.require_agreeing_times(
        v_new, v_time_zone, v_has_local or v_has_start, v_has_start or v_has_end or v_has_duration
    );

    -- 5. The cancellation terms move along, as for reschedule_session(), unless they are written, too. A writer who is
    -- not the client is the practice.
    if not v_is_new
        and v_new.start_time is not null
        and p_old.free_cancellation_until is not null
        and (
            v_new.start_time is distinct from p_old.start_time
            or (v_new.end_time is distinct from p_old.end_time and v_new.start_time > clock_timestamp())
        ) then
        if v_new.free_cancellation_until is distinct from p_old.free_cancellation_until then
            v_new.cancellation_notice := nullif(v_new.cancellation_notice, p_old.cancellation_notice);
        else
            v_moved := bookingdb.move_cancellation_terms(
                p_old, v_policy, v_new.start_time, bookingdb.part_of_writer(p_old)
            );
            v_new.free_cancellation_until := v_moved.free_cancellation_until;
            v_new.cancellation_notice := v_moved.cancellation_notice;
        end if;
    end if;
    return v_new;
end;
$function$;

comment on function bookingdb.times_together(public.sessions, public.sessions) is
'Returns a session as it is to be written (p_old NULL: a new one): of start, local time, end and duration, what was not written follows what was. Raises: invalid_date, invalid_parameter, skipped_time.';
