-- Counts the sessions in which both columns of a pair have a value and differ: all, those whose times say a value, and
-- those in which each column has it.
select
    count(*) as contradicting,
    count(p.said) as timed,
    count(*) filter (where p.our_value = p.said) as ours_right,
    count(*) filter (where p.as_ours = p.said) as theirs_right
from (:pairs) as p
where p.our_value is not null and p.their_value is not null
