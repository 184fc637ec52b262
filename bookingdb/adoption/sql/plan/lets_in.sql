-- Tells whether a CHECK of one column lets all these values in.
select bool_and(coalesce(:condition, true)) as lets_in
from (
    select cast(v.value as :type) as :"column"
    from unnest(:'values'::text[]) as v (value)
) as t
