-- Lists the findings that somebody acknowledged, the last first.
select a.finding_group, a.object, a.problem, a.reason, a.acknowledged_by, a.acknowledged_at
from bookingdb.acknowledgements as a
order by a.id desc
