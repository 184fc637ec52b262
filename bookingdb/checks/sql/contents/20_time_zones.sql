-- table: bookingdb.time_zones
-- problem: knows no zone but UTC
-- remedy: Run `select bookingdb.refresh_time_zones()`
select count(*) < 2 as is_wrong from bookingdb.time_zones
