-- table: bookingdb.selftest_people
-- problem: has people of a self-test that was interrupted, or is running now
-- remedy: Run `bookingdb selftest`, which removes them
select exists(select from bookingdb.selftest_people) as is_wrong
