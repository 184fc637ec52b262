-- Gives rows the values that they shall have, and counts those that change by their class.
with changed as (
    update :relation as t
    set :setting
    from pg_temp.bookingdb_wanted as w
    where w.id = t.id and :differs
    returning w.class_of_row
)

select
    c.class_of_row,
    count(*) as number
from changed as c
group by c.class_of_row
