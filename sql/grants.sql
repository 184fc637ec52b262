-- Every GRANT and REVOKE. Hosts grant by default (PUBLIC executes new functions; older Supabase projects hand every new
-- table, function and sequence of public to anon and authenticated by name), so everything is taken away first, by name
-- and by exact signature, and then given.
--
--     anon               nothing
--     authenticated      the public functions, in both schemas; reading its own rows (row_security.sql)
--     service_role       the public functions, in both schemas; reading and writing the application's tables
--     bookingdb_service  the public functions, in both schemas; reading the application's tables
--
-- Roles that do not exist are ignored; when they appear later, `bookingdb migrate` applies this file again.

-- The role for an application's own server on a plain Postgres: grant it to the login role that the server uses.
do $block$
begin
    if to_regrole('bookingdb_service') is null
        and exists (select from pg_roles as r where r.rolname = current_user and (r.rolcreaterole or r.rolsuper)) then
        create role bookingdb_service nologin;
    end if;
exception
    -- Roles belong to the whole server: another database's installation may have been a moment faster.
    when duplicate_object or unique_violation or insufficient_privilege then
        null;
end;
$block$;

do $block$
declare
    -- Both lists are made from the headers of sql/functions: the faces in public, and what callers may execute in
    -- bookingdb, which checks for itself who is asking.
    c_faces constant text[] := array[/* faces */]::text[];
    c_called constant text[] := array[/* called */]::text[];
    c_public_tables constant text[] := array['users', 'sessions', 'user_credits', 'booking_audit_log'];
    v_callers constant text := (
        select string_agg(quote_ident(r.rolname), ', ' order by r.rolname)
        from pg_roles as r
        where r.rolname in ('authenticated', 'service_role', 'bookingdb_service')
    );
    v_everyone constant text := concat_ws(', ', 'public', (
        select string_agg(quote_ident(r.rolname), ', ' order by r.rolname)
        from pg_roles as r
        where r.rolname in ('anon', 'authenticated', 'service_role', 'bookingdb_service')
    ));
    v_name text;
begin
    execute format('revoke all on schema bookingdb from %s', v_everyone);
    -- By exact signature: a function of an application's own may have the name of one of ours.
    foreach v_name in array c_faces loop
        execute format('revoke all on function %s from %s', v_name, v_everyone);
    end loop;
    -- Everything in bookingdb, but what an extension brought along.
    for v_name in
        select p.oid::regprocedure::text
        from pg_proc as p
        where p.pronamespace = 'bookingdb'::regnamespace
            and not exists (
                select from pg_depend as d
                where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
            )
    loop
        execute format('revoke all on routine %s from %s', v_name, v_everyone);
    end loop;
    foreach v_name in array c_public_tables loop
        execute format('revoke all on table public.%I from %s', v_name, v_everyone);
    end loop;
    -- Sequences of identity and serial columns, whatever an application that was adopted has of them.
    for v_name in
        select d.objid::regclass::text
        from pg_depend as d
        inner join pg_class as q on q.oid = d.objid and q.relkind = 'S'
        inner join pg_class as t on t.oid = d.refobjid and t.relnamespace = 'public'::regnamespace
        where d.classid = 'pg_class'::regclass
            and d.refclassid = 'pg_class'::regclass
            and d.deptype in ('a', 'i')
            and t.relname = any (c_public_tables)
    loop
        execute format('revoke all on sequence %s from %s', v_name, v_everyone);
    end loop;
    execute format('revoke all on all sequences in schema bookingdb from %s', v_everyone);
    execute format('revoke all on all tables in schema bookingdb from %s', v_everyone);

    if v_callers is not null then
        execute format('grant usage on schema bookingdb to %s', v_callers);
        foreach v_name in array c_faces || c_called loop
            execute format('grant execute on function %s to %s', v_name, v_callers);
        end loop;
        execute format('grant select on table public.users, public.sessions, public.user_credits to %s', v_callers);
    end if;

    if to_regrole('bookingdb_service') is not null then
        grant select on table public.booking_audit_log to bookingdb_service;
    end if;

    -- service_role is an application's own server on Supabase, and may still write the tables directly.
    if to_regrole('service_role') is not null then
        grant insert, update, delete on table public.users, public.sessions, public.user_credits to service_role;
        grant select on table public.booking_audit_log to service_role;
    end if;
end;
$block$;
