-- Makes the record of rows that are repaired ahead. Nobody else may read it, even if default privileges say so.
create schema bookingdb_mending;
create table bookingdb_mending.plan (answers jsonb not null, created_at timestamptz default now());
create table bookingdb_mending.rows (
    object text,
    key text,
    id uuid,
    original jsonb not null,
    adopted jsonb not null,
    primary key (object, key, id)
);
alter table bookingdb_mending.plan enable row level security;
alter table bookingdb_mending.rows enable row level security;
insert into bookingdb_mending.plan (answers) values (:'answers');
