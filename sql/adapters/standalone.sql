-- Adapter 'standalone': therapists and clients are rows of bookingdb's own table public.users.
--
-- An adapter answers two questions, who can be booked and who can book, and makes a change of either answer wait for
-- the bookings in flight (the triggers below, by the person's advisory lock).

-- A therapist can be booked while active and verified.
create or replace view bookingdb.therapists as
select
    u.id,
    u.email,
    u.full_name
from public.users as u
where u.user_type = 'therapist' and u.is_active and u.is_verified;

-- A client is any other active user.
create or replace view bookingdb.clients as
select
    u.id,
    u.email,
    u.full_name
from public.users as u
where u.user_type <> 'therapist' and u.is_active;

-- Everybody, also who is not active any more. A therapist can be booked while both is_active and is_verified are true.
create or replace view bookingdb.people as
select
    u.id,
    u.email::text as email,
    u.full_name::text as full_name,
    u.user_type::text as user_type,
    u.is_active,
    u.is_verified
from public.users as u;

create trigger _bookingdb_people_update after update on public.users
referencing old table as old_rows new table as new_rows
for each statement execute function bookingdb.people_changed('id', 'user_type', 'is_active', 'is_verified');

create trigger _bookingdb_people_delete after delete on public.users
referencing old table as old_rows
for each statement execute function bookingdb.people_changed('id');

create trigger _bookingdb_part_update after update on public.users
referencing old table as old_rows new table as new_rows
for each statement execute function bookingdb.part_changed('user_type');
