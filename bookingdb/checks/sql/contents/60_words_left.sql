-- table: bookingdb.erasures
-- problem: has people whose name, address or words are in tables all the same
-- remedy: Erase them again (`bookingdb people erase`): `select * from bookingdb.words_left()` says in which tables
select exists(select from bookingdb.words_left()) as is_wrong
