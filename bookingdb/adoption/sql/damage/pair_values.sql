-- Shows the sessions in which two columns that mean the same differ: both values, each as the other column would hold
-- it, and what the times of the session say. A length that both have, and that the times of a session to come
-- contradict, is shown, too.
select d.*
from (
    select
        s.id,
        s.:ours as our_value,
        s.:theirs as their_value,
        :their_value_as_ours as as_ours,
        :our_value_as_theirs as as_theirs,
        :times as said,
        coalesce(r.active and r.ends > now(), false) as is_to_come
    from public.sessions as s
    inner join (:readings) as r on s.id = r.id
) as d
where
    (d.as_ours is distinct from d.our_value and d.as_theirs is distinct from d.their_value)
    or (:'is_length' and d.is_to_come and d.our_value <> d.said)
