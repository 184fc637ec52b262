-- Gives the last id of the next rows of a table.
select n.id
from (
    select t.id
    from :relation as t
    where :after
    order by t.id
    limit :'batch'
) as n
order by n.id desc
limit 1
