-- Counts the rows of each table that were repaired. Times of day without a date, which are kept for the undo, were not.
select
    a.object,
    count(*) as number
from bookingdb.adoption as a
where a.kind = 'row' and not a.row_key ? 'was'
group by a.object
order by a.object
