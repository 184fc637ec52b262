-- Tells whether the tables were kept by `bookingdb uninstall --keep-data` and not taken up since.
select h.details ? 'kept' as is_kept
from bookingdb.history as h
where h.kind = 'functions'
order by h.id desc
limit 1
