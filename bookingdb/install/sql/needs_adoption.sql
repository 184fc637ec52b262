-- Tells whether a database needs the functions of the room adoption: it was adopted, or a trigger that somebody made
-- calls one of them.
select exists (select from bookingdb.adoption as a where a.kind = 'plan')
    or exists (
        select from pg_trigger as t
        where t.tgfoid = any(
            :present
        )
    ) as is_needed
