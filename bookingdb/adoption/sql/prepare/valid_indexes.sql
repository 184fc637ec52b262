-- Lists the indexes that were prepared and can be used, by their names as SQL.
select 'index public.' || m.name as object
from bookingdb_preparing.made as m
inner join pg_class as x on m.name = quote_ident(x.relname) and x.relnamespace = 'public'::regnamespace
inner join pg_index as i on x.oid = i.indexrelid
where m.kind = 'index' and i.indisvalid
