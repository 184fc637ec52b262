-- Counts the rows that a repair changes, by their class.
select
    :class_of_row as class_of_row,
    count(*) as number
from (:repair) as q
where :condition
group by 1
