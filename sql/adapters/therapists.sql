-- Adapter 'therapists': clients are rows of public.users, therapists of a table of their own, public.therapists (id,
-- email, full_name, is_active, is_verified).

-- A therapist can be booked while active and verified.
create or replace view bookingdb.therapists as
select
    t.id,
    t.email,
    t.full_name
from public.therapists as t
where t.is_active and t.is_verified;

-- A client is any active user who is called no therapist, and has no therapist's id: one who has both is known as a
-- client by the view people.
create or replace view bookingdb.clients as
select
    u.id,
    u.email,
    u.full_name
from public.users as u
where
    u.user_type is distinct from 'therapist' and u.is_active
    and not exists (
        select
        from public.therapists as t
        where t.id = u.id
    );

-- Everybody, also who is not active any more. A user who is called a therapist, and is none of that table, cannot be
-- booked.
create or replace view bookingdb.people as
select
    t.id,
    t.email::text as email,
    t.full_name::text as full_name,
    'therapist' as user_type,
    coalesce(t.is_active, false) as is_active,
    coalesce(t.is_verified, false) as is_verified
from public.therapists as t
union all
select
    u.id,
    u.email::text as email,
    u.full_name::text as full_name,
    coalesce(u.user_type::text, 'user') as user_type,
    coalesce(u.is_active, false) as is_active,
    coalesce(u.is_verified, false) and (u.user_type is distinct from 'therapist') as is_verified
from public.users as u
where
    u.user_type is distinct from 'therapist'
    or not exists (
        select
        from public.therapists as t
        where t.id = u.id
    );

create trigger _bookingdb_people_update after update on public.users
referencing old table as old_rows new table as new_rows
for each statement execute function bookingdb.people_changed('id', 'user_type', 'is_active');

create trigger _bookingdb_people_delete after delete on public.users
referencing old table as old_rows
for each statement execute function bookingdb.people_changed('id');

create trigger _bookingdb_people_update after update on public.therapists
referencing old table as old_rows new table as new_rows
for each statement execute function bookingdb.people_changed('id', 'is_active', 'is_verified');

create trigger _bookingdb_people_delete after delete on public.therapists
referencing old table as old_rows
for each statement execute function bookingdb.people_changed('id');

create trigger _bookingdb_part_update after update on public.users
referencing old table as old_rows new table as new_rows
for each statement execute function bookingdb.part_changed('user_type');

create trigger _bookingdb_part_insert after insert on public.therapists
referencing new table as new_rows
for each statement execute function bookingdb.part_changed();

create trigger _bookingdb_part_delete after delete on public.therapists
referencing old table as old_rows
for each statement execute function bookingdb.part_changed();
