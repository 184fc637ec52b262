-- Gives the sessions in which a pair differs, with what its columns become: the value that was chosen, in both.
select
    p.id,
    p.chosen as :ours,
    case when p.as_ours = p.chosen then p.their_value else coalesce(:as_theirs, p.their_value) end as :theirs
from (
    select
        q.*,
        :choice as chosen
    from (:pairs) as q
) as p
where p.chosen is not null
