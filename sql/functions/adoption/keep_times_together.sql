create or replace function bookingdb.keep_times_together()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
declare
    v_time_zone text;
    v_local timestamp;
    v_old_local timestamp;
    v_length interval;
begin
    -- The functions of bookingdb write all columns, in agreement: nothing below has anything to do then.

    -- The range is checked before any arithmetic; dates outside of it are ignored.
    if new.scheduled_date between date '1900-01-01' and date '2999-12-31' then
        v_local := new.scheduled_date + new.scheduled_time;
    end if;
    if tg_op = 'UPDATE' then
        if (new.scheduled_date, new.scheduled_time, new.start_time, new.end_time, new.duration_minutes)
            is not distinct from
            (old.scheduled_date, old.scheduled_time, old.start_time, old.end_time, old.duration_minutes) then
            return new;
        end if;
        if old.scheduled_date between date '1900-01-01' and date '2999-12-31' then
            v_old_local := old.scheduled_date + old.scheduled_time;
        end if;
    end if;
    v_time_zone := coalesce(
        (select z.name from bookingdb.time_zones as z where z.name = new.time_zone),
        (select p.time_zone from bookingdb.policies as p where p.therapist_id = new.therapist_id),
        tg_argv[0]
    );

    -- The start follows the local time that was written without it.
    if v_local is not null
        and (case tg_op
            when 'INSERT' then new.start_time is null
            else v_local is distinct from v_old_local and new.start_time is not distinct from old.start_time
        end) then
        new.start_time := bookingdb.wall_clock_instant(v_local, v_time_zone);
        if new.start_time at time zone v_time_zone <> v_local then
            perform bookingdb.raise_error('skipped_time', jsonb_build_object('time_zone', v_time_zone));
        end if;
        if tg_op = 'UPDATE'
            and new.end_time is not distinct from old.end_time
            and new.duration_minutes is not distinct from old.duration_minutes
            and isfinite(old.start_time)
            and isfinite(old.end_time) then
            -- The length is kept in seconds: a local day can have 23 hours.
            new.end_time := new.start_time + make_interval(
                secs => extract(epoch from old.end_time)::float8 - extract(epoch from old.start_time)::float8
            );
        end if;

    -- The local time follows the start that was written without it.
    elsif new.start_time between timestamptz '1900-01-01 00:00:00+00' and timestamptz '2999-12-31 00:00:00+00' then
        if tg_op = 'INSERT' then
            new.scheduled_date := coalesce(new.scheduled_date, (new.start_time at time zone v_time_zone)::date);
            new.scheduled_time := coalesce(new.scheduled_time, (new.start_time at time zone v_time_zone)::time);
        elsif new.start_time is distinct from old.start_time
            and (new.scheduled_date, new.scheduled_time)
            is not distinct from (old.scheduled_date, old.scheduled_time) then
            new.scheduled_date := (new.start_time at time zone v_time_zone)::date;
            new.scheduled_time := (new.start_time at time zone v_time_zone)::time;
        end if;
    end if;

    -- The end follows the duration that was written without it, else the duration follows the end.
    if isfinite(new.start_time)
        and new.duration_minutes between 1 and 10080
        and (case tg_op
            when 'INSERT' then new.end_time is null
            else new.duration_minutes is distinct from old.duration_minutes
                and new.end_time is not distinct from old.end_time
        end) then
        new.end_time := new.start_time + make_interval(mins => new.duration_minutes);
    elsif isfinite(new.start_time)
        and isfinite(new.end_time)
        and (
            new.duration_minutes is null
            or (
                tg_op = 'UPDATE'
                and (new.start_time, new.end_time) is distinct from (old.start_time, old.end_time)
                and new.duration_minutes is not distinct from old.duration_minutes
            )
        ) then
        v_length := new.end_time - new.start_time;
        if v_length > interval '0' and v_length <= interval '10080 minutes' then
            new.duration_minutes := extract(epoch from v_length)::integer / 60;
        end if;
    end if;
    return new;
end;
$function$;

comment on function bookingdb.keep_times_together() is
'Trigger (BEFORE, per row) on sessions of an adopted database: of start, local time, end and duration, what was not written follows what was. Argument: the zone of last resort. Raises: skipped_time.';
