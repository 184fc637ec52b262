-- Lists the therapists who have an approved enrollment under their address in other capitals, and none under the same,
-- each with the number of sessions that were not cancelled.
select
    u.id::text,
    (
        select count(*)
        from :sessions as s
        where s.therapist_id::text = u.id::text and lower(s.status::text) not in ('cancelled', 'canceled')
    ) as sessions
from public.users as u
where u.user_type::text = 'therapist' and u.is_active and u.is_verified
    and exists (
        select from public.therapist_enrollments as e
        where lower(e.email::text) = lower(u.email::text) and e.status::text = 'approved' and e.is_active
    )
    and not exists (
        select from public.therapist_enrollments as e
        where e.email::text = u.email::text and e.status::text = 'approved' and e.is_active
    )
order by 1
