-- Lists what superusers changed in append-only tables: a row for each transaction, table and operation.
select
    min(r.id) as first_id,
    max(r.id) as last_id,
    r.table_name,
    lower(r.operation) as operation,
    count(*) as records,
    r.rewritten_by,
    to_char(min(r.rewritten_at) at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"') as rewritten_at
from bookingdb.rewritten_records as r
group by r.transaction_id, r.table_name, r.operation, r.rewritten_by
order by 1
