-- Tells whether several rows of a table share the value of an expression.
select count(*) > 0 as has_duplicates
from (
    select count(*) as copies
    from :relation as t
    where t.:"column" is not null
    group by :expression
    having count(*) > 1
) as d
