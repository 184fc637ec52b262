-- Makes the default policy as it was installed.
insert into bookingdb.policies (:settings)
values (:defaults)
