-- What the new places of functions need.

-- A time of a therapist's grid of slots, free or not (list_slot_states).
create type bookingdb.slot_state as (
    start_time timestamptz,
    end_time timestamptz,
    local_date date,
    local_time time,
    state text
);
