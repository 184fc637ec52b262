-- Lists what was prepared for an adoption to come, and is not the application's.
select
    m.kind,
    m.name
from bookingdb_preparing.made as m
