-- Lists the invariants that do not hold.
select v.invariant, v.subject_id, v.problem, v.context
from bookingdb.check_invariants() as v
order by v.invariant, v.subject_id
