-- Tells whether a database with a history has a newer version: a migration that this one does not know, or a higher
-- number.
select
    exists (select from bookingdb.history as h where h.kind = 'migration' and h.name <> all(:'names'))
    or (
        select string_to_array(substring(h.version from :'numbers_pattern'), '.')::integer[]
        from bookingdb.history as h
        where h.kind = 'functions'
        order by h.id desc
        limit 1
    ) > string_to_array(:'version_numbers', '.')::integer[] as is_newer
