-- Keeps which rows shall have which values, and their class, so that it is asked once.
create temporary table bookingdb_wanted on commit drop as
select
    q.*,
    :class_of_row as class_of_row
from (:repair) as q
where :condition
