-- One house: what the rooms of the functions need, and names that say what a function does.

-- A time of a therapist's grid of slots, free or not (list_slot_states).
create type bookingdb.slot_state as (
    start_time timestamptz,
    end_time timestamptz,
    local_date date,
    local_time time,
    state text
);

-- The selftest commits nothing any more. What an interrupted one left goes with what cleaned up after it.
do $block$
begin
    if to_regprocedure('bookingdb.remove_selftest_people()') is not null then
        perform bookingdb.remove_selftest_people();
        drop function bookingdb.remove_selftest_people();
    end if;
end;
$block$;

drop table bookingdb.selftest_people;

-- What these did has other names now, or other parameters.

drop function if exists bookingdb.utc(timestamptz);
drop function if exists bookingdb.later(timestamptz, interval);
drop function if exists bookingdb.part_in_session(public.sessions);
drop function if exists bookingdb.open_hold(uuid);
drop function if exists bookingdb.open_minutes(int4multirange, int4multirange);
drop function if exists bookingdb.is_open(bookingdb.effective_policy, tstzrange, uuid, boolean, boolean);
drop function if exists bookingdb.tell_of_hold(text, uuid);
drop function if exists bookingdb.tell_of_credits(text, uuid, uuid, integer, uuid);
drop function if exists bookingdb.tell_of_availability(uuid);
drop function if exists bookingdb.find_answer(text, uuid, text, bytea);
drop function if exists bookingdb.remember_answer(text, uuid, text, bytea, uuid, integer);
