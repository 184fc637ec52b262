-- Asks whether a condition on sessions can be asked of every one of them.
select count(s.*) as sessions
from public.sessions as s
where
    (
        :condition
    )
