-- The signatures of the function set applied last.
select r.signature
from jsonb_array_elements_text(
    (
        select h.details -> 'functions'
        from bookingdb.history as h
        where h.kind = 'functions'
        order by h.id desc
        limit 1
    )
) as r (signature)
