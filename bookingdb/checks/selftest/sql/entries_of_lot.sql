-- A lot's entries in the ledger, the first one first.
select l.kind, l.amount, l.balance_after, l.session_id
from bookingdb.ledger as l
where l.lot_id = :'lot'
order by l.id
