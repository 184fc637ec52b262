-- list_sessions(): the sessions that a caller may see, a page at a time.
begin;
\ir include/setup.sql
select plan(5);

select pg_temp.is_declared($$
    list_sessions(
        p_user_id uuid default null, p_therapist_id uuid default null, p_statuses text[] default null,
        p_starts_from timestamptz default null, p_starts_before timestamptz default null, p_limit integer default 50,
        p_cursor text default null, p_descending boolean default false
    )
    returns table (
        id uuid, user_id uuid, therapist_id uuid, title varchar, description text, scheduled_date date,
        scheduled_time time, start_time timestamptz, end_time timestamptz, duration_minutes integer,
        session_type varchar, status varchar, created_at timestamptz, time_zone text,
        free_cancellation_until timestamptz, series_id uuid, client_name text, therapist_name text,
        next_actions text[], cursor text
    )
    language plpgsql stable security invoker
$$);
select pg_temp.is_executed_by('list_sessions', 'authenticated', 'service_role');

-- Given
select pg_temp.book('second', '12:00');
select pg_temp.book('first', '10:00');

-- Example
select pg_temp.act_as('authenticated', pg_temp.therapist());
select results_eq(
    $$ select l.title from public.list_sessions() as l $$, $$ values ('first'::varchar), ('second'::varchar) $$,
    'the therapist sees their sessions in order'
);
select results_eq(
    $$
        select n.title
        from public.list_sessions(p_limit => 1) as l
        cross join lateral public.list_sessions(p_limit => 1, p_cursor => l.cursor) as n
    $$,
    $$ values ('second'::varchar) $$, 'the next page begins after the cursor'
);
reset role;

-- Refusal
select results_eq(
    $$
        select e.sqlstate, e.message, e.detail ->> 'parameter'
        from pg_temp.error_of('select public.list_sessions(p_cursor => ''x'')') as e
    $$,
    $$ values ('PT400', 'Invalid parameter', 'p_cursor') $$,
    'a cursor is what a list gave'
);

select * from finish();
rollback;
