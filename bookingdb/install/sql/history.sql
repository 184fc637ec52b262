-- Lists the installations, newest first.
select h.id, h.kind, h.name, h.checksum, h.version, h.details, h.applied_by, h.applied_at
from bookingdb.history as h
order by h.id desc
