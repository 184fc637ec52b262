-- Keeps which rows shall have which values, so that it is asked once.
create temporary table bookingdb_wanted on commit drop as
select q.*
from (:repair) as q
where :condition
