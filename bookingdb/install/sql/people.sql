-- For an adapter that says who is a therapist and who a client, and nothing of others: an older one of an owner's.
create or replace view bookingdb.people as
select
    t.id,
    t.email::text as email,
    t.full_name::text as full_name,
    'therapist' as user_type,
    true as is_active,
    true as is_verified
from bookingdb.therapists as t
union all
select
    c.id,
    c.email::text as email,
    c.full_name::text as full_name,
    'user' as user_type,
    true as is_active,
    true as is_verified
from bookingdb.clients as c
