-- Records the rows that a repair changes, as they are and as they become.
insert into bookingdb.adoption (kind, object, row_key, original, adopted)
select
    'row' as kind,
    :'object' as object,
    jsonb_build_object('id', t.id) as row_key,
    jsonb_build_object(:old_values) as original,
    jsonb_build_object(:new_values) as adopted
from :relation as t
inner join pg_temp.bookingdb_wanted as w on t.id = w.id
where :differs
order by t.id
