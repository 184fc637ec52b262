-- Counts the rows that a repair would change.
select count(*) as differing
from :relation as t
inner join (:repair) as w on t.id = w.id
where :differs
