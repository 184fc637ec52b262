-- Records the rows that a repair changes; those that the application spoilt again, with what it wrote last.
insert into bookingdb_mending.rows (object, key, id, original, adopted)
select
    :'object' as object,
    :'key' as key,
    t.id,
    jsonb_build_object(:old_values) as original,
    jsonb_build_object(:new_values) as adopted
from :relation as t
inner join pg_temp.bookingdb_wanted as w on t.id = w.id
where :differs
on conflict (object, key, id) do update set original = excluded.original, adopted = excluded.adopted
