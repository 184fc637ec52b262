-- Gives the sessions of a class, with another status.
select
    r.id,
    :'status'::varchar as status
from (:readings) as r
where :condition
