-- table: bookingdb.rewritten_records
-- problem: says that a superuser rewrote records of ledger or audit log
-- remedy: Look at `select * from bookingdb.rewritten_records order by id`; delete there what is accounted for
select exists(select from bookingdb.rewritten_records) as is_wrong
