-- Lists the rows that share the value of an expression with another row.
select d.id::text as id
from (
    select
        t.id,
        count(*) over (partition by :expression) as copies
    from :relation as t
    where :expression is not null
) as d
where d.copies > 1
order by d.id::text
