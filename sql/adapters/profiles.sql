-- Adapter 'profiles': accounts are those of Supabase Auth (auth.users), and public.profiles (id, full_name, role,
-- is_active) says of each who it is. The id of a profile is a foreign key to the account, so a deletion of an account
-- reaches the profile, and the trigger there: auth.users, which belongs to Supabase, needs none of ours.

-- A therapist can be booked while the profile is active.
create or replace view bookingdb.therapists as
select
    p.id,
    a.email::text as email,
    p.full_name
from public.profiles as p
inner join auth.users as a on p.id = a.id
where p.role = 'therapist' and p.is_active;

-- A client is any other active profile.
create or replace view bookingdb.clients as
select
    p.id,
    a.email::text as email,
    p.full_name
from public.profiles as p
inner join auth.users as a on p.id = a.id
where p.role is distinct from 'therapist' and p.is_active;

-- Everybody, also who is not active any more. Nothing more than an active profile is asked of a therapist.
create or replace view bookingdb.people as
select
    p.id,
    a.email::text as email,
    p.full_name::text as full_name,
    true as is_verified,
    coalesce(p.role::text, 'user') as user_type,
    coalesce(p.is_active, false) as is_active
from public.profiles as p
inner join auth.users as a on p.id = a.id;

create trigger _bookingdb_people_update after update on public.profiles
referencing old table as old_rows new table as new_rows
for each statement execute function bookingdb.people_changed('id', 'role', 'is_active');

create trigger _bookingdb_people_delete after delete on public.profiles
referencing old table as old_rows
for each statement execute function bookingdb.people_changed('id');

create trigger _bookingdb_part_update after update on public.profiles
referencing old table as old_rows new table as new_rows
for each statement execute function bookingdb.part_changed('role');
