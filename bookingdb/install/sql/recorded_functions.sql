-- The signatures of every function set that was applied.
select r.signature
from :history as h
cross join lateral jsonb_array_elements_text(h.details -> 'functions') as r (signature)
where h.kind = 'functions'
