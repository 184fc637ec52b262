-- Adapter 'exact_enrollments': as 'enrollments', but an enrollment is a therapist's only where its e-mail address has
-- the same capitals, too: for an application that always compared the two with =.

-- A therapist can be booked while active, verified and enrolled.
create or replace view bookingdb.therapists as
select
    u.id,
    u.email,
    u.full_name
from public.users as u
where
    u.user_type = 'therapist' and u.is_active and u.is_verified
    and u.email in (
        select e.email
        from public.therapist_enrollments as e
        where e.status = 'approved' and e.is_active
    );

-- A client is any other active user.
create or replace view bookingdb.clients as
select
    u.id,
    u.email,
    u.full_name
from public.users as u
where u.user_type is distinct from 'therapist' and u.is_active;

-- Everybody, also who is not active any more. A therapist counts as verified only while enrolled.
create or replace view bookingdb.people as
select
    u.id,
    u.email::text as email,
    u.full_name::text as full_name,
    coalesce(u.user_type::text, 'user') as user_type,
    coalesce(u.is_active, false) as is_active,
    coalesce(u.is_verified, false) and (
        (u.user_type is distinct from 'therapist')
        or exists (
            select from public.therapist_enrollments as e
            where e.email = u.email and e.status = 'approved' and e.is_active
        )
    ) as is_verified
from public.users as u;

create trigger _bookingdb_people_update after update on public.users
referencing old table as old_rows new table as new_rows
for each statement execute function bookingdb.people_changed('id', 'user_type', 'is_active', 'is_verified', 'email');

create trigger _bookingdb_people_delete after delete on public.users
referencing old table as old_rows
for each statement execute function bookingdb.people_changed('id');

create trigger _bookingdb_people_update after update on public.therapist_enrollments
referencing old table as old_rows new table as new_rows
for each statement execute function bookingdb.people_changed('email', 'status', 'is_active');

create trigger _bookingdb_people_delete after delete on public.therapist_enrollments
referencing old table as old_rows
for each statement execute function bookingdb.people_changed('email');

create trigger _bookingdb_part_update after update on public.users
referencing old table as old_rows new table as new_rows
for each statement execute function bookingdb.part_changed('user_type');
