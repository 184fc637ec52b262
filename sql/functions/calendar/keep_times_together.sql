create or replace function bookingdb.keep_times_together()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $function$
begin
    if tg_op = 'INSERT' then
        new.revision := 0;
        if new.status is distinct from 'pending_approval' then
            if new.approval_until is not null then
                new.approval_until := null;
            end if;
            return bookingdb.times_together(null, new);
        end if;
        new.approval_until := coalesce(new.approval_until, bookingdb.approval_until(new.therapist_id));
        new := bookingdb.times_together(null, new);
        if new.approval_until > new.start_time then
            new.approval_until := new.start_time;
        end if;
        return new;
    end if;
    -- Most changes move nothing, and wait for nothing. (One test of them all: each costs a cancellation 3 thousand
    -- instructions.)
    if old.approval_until is null
        and new.approval_until is null
        and (new.status <> 'pending_approval' or new.status = old.status)
        and (
            new.scheduled_date, new.scheduled_time, new.time_zone, new.start_time, new.end_time, new.duration_minutes,
            new.free_cancellation_until
        )
        is not distinct from
        (
            old.scheduled_date, old.scheduled_time, old.time_zone, old.start_time, old.end_time, old.duration_minutes,
            old.free_cancellation_until
        ) then
        new.revision := old.revision + 1;
        if new.status is not distinct from old.status then
            new.revision := bookingdb.next_revision(old, new);
        end if;
        return new;
    end if;
    -- A session waits from when it is written so; who writes its end decides it.
    if new.status = 'pending_approval' and new.status is distinct from old.status then
        new.approval_until := coalesce(
            nullif(new.approval_until, old.approval_until), bookingdb.approval_until(new.therapist_id)
        );
    elsif new.approval_until is not null and new.status is distinct from 'pending_approval' then
        new.approval_until := null;
    end if;
    -- A WHEN clause of these would cost a cancellation 4 % of its instructions.
    if (new.scheduled_date, new.scheduled_time, new.time_zone, new.start_time, new.end_time, new.duration_minutes)
        is distinct from
        (old.scheduled_date, old.scheduled_time, old.time_zone, old.start_time, old.end_time, old.duration_minutes) then
        -- A function of bookingdb that moves a session moves its calendar row first, and writes everything.
        if (
            select
                c.kind = 'session'
                and lower(c.period) = new.start_time
                and upper(c.period) = new.end_time
                and (new.start_time, new.end_time) is distinct from (old.start_time, old.end_time)
            from bookingdb.calendar as c
            where c.id = new.id
        ) is not true then
            new := bookingdb.times_together(old, new);
        end if;
    -- A limit that is written, and moves with nothing, stands for itself. (A transfer writes both.)
    elsif old.cancellation_notice is not null
        and new.therapist_id is not distinct from old.therapist_id
        and new.free_cancellation_until is distinct from old.free_cancellation_until then
        new.cancellation_notice := nullif(new.cancellation_notice, old.cancellation_notice);
    end if;
    -- Nobody approves what has begun. What its start alone had ended waits anew after a move.
    if new.approval_until is not null then
        if new.approval_until = old.start_time
            and new.approval_until = old.approval_until
            and new.start_time > old.start_time then
            new.approval_until := bookingdb.approval_until(new.therapist_id);
        end if;
        if new.approval_until > new.start_time then
            new.approval_until := new.start_time;
        end if;
    end if;
    new.revision := old.revision + 1;
    if new.start_time is not distinct from old.start_time and new.status is not distinct from old.status then
        new.revision := bookingdb.next_revision(old, new);
    end if;
    return new;
end;
$function$;

comment on function bookingdb.keep_times_together() is
'Trigger (BEFORE, per row) on sessions written directly: their times agree (times_together), they wait for approval until their start at the latest, and their revision counts changes.';
