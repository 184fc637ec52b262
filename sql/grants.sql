-- Every GRANT and REVOKE. Hosts grant by default (PUBLIC executes new functions; older Supabase projects hand every new
-- table, function and sequence of public to anon and authenticated by name), so everything is taken away first, by name
-- and by exact signature, and then given.
--
--     anon           nothing
--     authenticated  the public functions, in both schemas; reading its own rows (row_security.sql)
--     trusted roles  the public functions, in both schemas; reading the application's tables
--     service_role   is trusted, and writes the application's tables, too
--
-- A role is trusted where it was granted the execution of act_for_anyone(), and a worker where it was granted that of
-- work_deliveries(), too. This file leaves both as they are. Roles that
-- do not exist are ignored; when they appear later, or are trusted later, `bookingdb migrate` applies this file again.

do $block$
declare
    -- Both lists are made from the headers of sql/functions: the faces in public, and what callers may execute in
    -- bookingdb, which checks for itself who is asking.
    c_faces constant text[] := array[/* faces */]::text[];
    c_called constant text[] := array[/* called */]::text[];
    c_public_tables constant text[] := array['users', 'sessions', 'user_credits', 'booking_audit_log'];
    c_trust constant text := 'bookingdb.act_for_anyone()';
    c_work constant text := 'bookingdb.work_deliveries()';
    -- The names of roles are quoted where they must be.
    v_hosts constant text[] := array(
        select quote_ident(r.rolname) from pg_roles as r where r.rolname in ('anon', 'authenticated', 'service_role')
    );
    -- Roles that this file was applied for the last time. They may not be trusted any more.
    v_before constant text[] := array(
        select quote_ident(r.rolname)
        from pg_roles as r
        where to_jsonb(r.rolname) <@ (
            select h.details -> 'roles'
            from bookingdb.history as h
            where h.kind = 'functions'
            order by h.id desc
            limit 1
        )
    );
    -- Before trust was a privilege of one database, the members of a role of the whole server were trusted wherever it
    -- had privileges. The role stays, because other databases may still use it.
    v_members constant oid[] := array(
        select distinct m.member
        from pg_auth_members as m
        inner join pg_roles as r on r.oid = m.member
        where 'bookingdb_service' = any (v_before)
            and m.roleid = to_regrole('bookingdb_service')
            and m.member <> current_user::regrole
            and not r.rolsuper
            and r.rolname not in ('anon', 'authenticated')
    );
    -- Mere membership was never trusted.
    v_carried_over constant text[] := array(
        select m.oid::regrole::text
        from unnest(v_members) as m (oid)
        where pg_has_role(m.oid, to_regrole('bookingdb_service'), 'USAGE')
        order by 1
    );
    v_trusted constant text[] := array(
        select a.grantee::regrole::text
        from pg_proc as p
        cross join aclexplode(p.proacl) as a
        where p.oid = c_trust::regprocedure and a.grantee not in (0, p.proowner)
            and a.grantee::regrole::text not in ('anon', 'authenticated')
        union
        select h.name from unnest(v_hosts) as h (name) where h.name = 'service_role'
        union
        select c.name from unnest(v_carried_over) as c (name)
    );
    v_callers constant text := nullif(array_to_string(array(
        select c.name from unnest(v_trusted) as c (name)
        union
        select h.name from unnest(v_hosts) as h (name) where h.name = 'authenticated'
    ), ', '), '');
    v_everyone constant text := array_to_string(array(
        select e.name from unnest('{public}' || v_hosts || v_before || v_trusted) as e (name) group by e.name
    ), ', ');
    v_public constant text := array_to_string('{public}' || v_hosts, ', ');
    -- The application's owner decides about others' rights on its tables; this file takes only what it gave them.
    v_others constant text := nullif(array_to_string(array(
        select o.name from unnest(v_before || v_trusted) as o (name) where o.name <> all (v_hosts) group by o.name
    ), ', '), '');
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
            and p.oid <> all (array[c_trust, c_work]::regprocedure[])
            and not exists (
                select from pg_depend as d
                where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
            )
    loop
        execute format('revoke all on routine %s from %s', v_name, v_everyone);
    end loop;
    foreach v_name in array c_public_tables loop
        execute format('revoke all on table public.%I from %s', v_name, v_public);
        if v_others is not null then
            execute format('revoke select on table public.%I from %s', v_name, v_others);
        end if;
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
        execute format('revoke all on sequence %s from %s', v_name, v_public);
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

    foreach v_name in array v_trusted loop
        execute format('grant execute on function %s to %s', c_trust, v_name);
        execute format('grant select on table public.booking_audit_log to %s', v_name);
    end loop;
    foreach v_name in array '{public}' || v_hosts loop
        if v_name <> 'service_role' then
            execute format('revoke all on function %s from %s', c_trust, v_name);
            execute format('revoke all on function %s from %s', c_work, v_name);
        end if;
    end loop;

    -- service_role is an application's own server on Supabase, and may still write the tables directly.
    if to_regrole('service_role') is not null then
        grant insert, update, delete on table public.users, public.sessions, public.user_credits to service_role;
    end if;

    -- For the history, and for whoever migrates.
    perform set_config('bookingdb.carried_over', case when v_members = '{}' then '{}' else jsonb_build_object(
        'carried_over', v_carried_over,
        'not_carried_over', array(
            select m.oid::regrole::text
            from unnest(v_members) as m (oid)
            where m.oid::regrole::text <> all (v_carried_over)
            order by 1
        )
    )::text end, true);
end;
$block$;
