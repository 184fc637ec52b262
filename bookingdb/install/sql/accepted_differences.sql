-- Lists how an adopted database differs from a new one, because its application has it so.
select a.original ->> 'group' as finding_group, a.object, a.original ->> 'problem' as problem
from bookingdb.adoption as a
where a.kind = 'difference'
