-- table: bookingdb.policies
-- problem: has no default policy
-- remedy: Run `{default_policy}`
select not exists (select from bookingdb.policies as p where p.therapist_id is null) as is_wrong
