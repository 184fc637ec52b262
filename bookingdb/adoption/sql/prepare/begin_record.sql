-- Makes the schema of what is prepared, and the record of it. Nobody else may read either.
create schema bookingdb_preparing;
create table bookingdb_preparing.made (kind text, name text, primary key (kind, name));
alter table bookingdb_preparing.made enable row level security;
