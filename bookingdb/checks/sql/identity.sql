-- Says whether the sequence of an identity column is behind the column's last value, and which that is.
select
    max(t.:"column") as last_value,
    coalesce(max(t.:"column") > coalesce(
        pg_sequence_last_value(pg_get_serial_sequence(:'table', :'column')::regclass), 0
    ), false) as is_behind
from :table as t
