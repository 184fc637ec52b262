-- A policy says, too, whether the therapist has any hours, so that whoever has a policy need not ask for them again.

alter type bookingdb.effective_policy add attribute has_hours boolean;

-- These have other parameters now, or nobody asks for them any more.
drop function if exists bookingdb.book_slot(
    uuid, uuid, date, time, text, tstzrange, varchar, text, text, uuid, boolean
);
drop function if exists bookingdb.opening_times(uuid[], timestamptz, timestamptz);
drop function if exists bookingdb.free_times(uuid[], tstzrange, interval, uuid, boolean);
drop function if exists bookingdb.policies_of(uuid[]);
drop function if exists bookingdb.resolve_time_zone(text, uuid);
