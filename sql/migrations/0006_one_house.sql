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
