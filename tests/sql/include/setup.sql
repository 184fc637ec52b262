-- The beginning of every file here: people, and words for what the files assert. It ends with the file's rollback.
--
-- Each file is the contract of one public function, in the same order: how it is declared, who may execute it, one
-- example with all that it writes, and the refusal that is most its own. The rules are tested in tests/.
--
-- `make test` runs the files (tests/sql/test_pgtap.py). Without Python they need pgTAP, and bookingdb installed where
-- the roles anon, authenticated and service_role were before it; as a superuser:
--
--     pg_prove --ext .sql tests/sql/*.sql
--     psql --no-psqlrc --tuples-only --no-align --quiet --set ON_ERROR_STOP=1 --file tests/sql/hold_slot.sql

-- ---------------------------------------------------------------------------------------------------------------------
-- People: two therapists in UTC, and two clients, the first with 5 credits
-- ---------------------------------------------------------------------------------------------------------------------

create function pg_temp.therapist() returns uuid language sql immutable
return uuid '00000000-0000-4000-8000-0000000000a1';
create function pg_temp.other_therapist() returns uuid language sql immutable
return uuid '00000000-0000-4000-8000-0000000000a2';
create function pg_temp.client() returns uuid language sql immutable
return uuid '00000000-0000-4000-8000-0000000000c1';
create function pg_temp.other_client() returns uuid language sql immutable
return uuid '00000000-0000-4000-8000-0000000000c2';
-- An id that nobody has.
create function pg_temp.nobody() returns uuid language sql immutable
return uuid '00000000-0000-4000-8000-0000000000ff';

select public.register_therapist('a@therapist.test', 'A', pg_temp.therapist(), 'UTC');
select public.register_therapist('b@therapist.test', 'B', pg_temp.other_therapist(), 'UTC');
select public.register_client('a@client.test', 'A', pg_temp.client());
select public.register_client('b@client.test', 'B', pg_temp.other_client());
select g.lot_balance from public.grant_credits(pg_temp.client(), 5, 'a payment') as g;

-- Act as a role, and as the user whose token PostgREST received; `reset role` ends it.
create function pg_temp.act_as(p_role text, p_user_id uuid default null) returns void language plpgsql as $function$
begin
    perform set_config('request.jwt.claims', jsonb_build_object('sub', p_user_id)::text, true);
    perform set_config('role', p_role, true);
end;
$function$;

-- ---------------------------------------------------------------------------------------------------------------------
-- Times and sessions
-- ---------------------------------------------------------------------------------------------------------------------

-- The Monday that is eight to fourteen days ahead.
create function pg_temp.monday() returns date language sql stable
return current_date + 15 - extract(isodow from current_date)::integer;

-- The timestamp of a time in UTC, some days after that Monday.
create function pg_temp.at(p_time time, p_days integer default 0) returns timestamptz language sql stable
return (pg_temp.monday() + p_days + p_time) at time zone 'UTC';

-- A timestamp as DETAIL and payloads write it.
create function pg_temp.iso(p_timestamp timestamptz) returns text language sql stable
return to_char(p_timestamp at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"');

-- Book an hour of the first client with the first therapist on the Monday; the title names the session from then on.
create function pg_temp.book(p_title text, p_time time) returns uuid language plpgsql as $function$
begin
    return (
        select b.id
        from public.create_session_with_credit_deduction(
            pg_temp.client(), pg_temp.therapist(), pg_temp.monday(), p_time, p_title => p_title
        ) as b
    );
end;
$function$;

create function pg_temp.session(p_title text) returns uuid language plpgsql stable security definer as $function$
begin
    return (select s.id from public.sessions as s where s.title = p_title);
end;
$function$;

-- ---------------------------------------------------------------------------------------------------------------------
-- What the files assert
-- ---------------------------------------------------------------------------------------------------------------------

-- Text on one line, with spaces only where SQL needs them.
create function pg_temp.on_one_line(p_text text) returns text language sql immutable
return replace(regexp_replace(btrim(regexp_replace(p_text, '\s+', ' ', 'g')), ' ?([(),]) ?', '\1', 'g'), ',', ', ');

-- One assertion: this is the declaration of the public function that it names, in the short names of types.
create function pg_temp.is_declared(p_declaration text) returns text language plpgsql as $function$
declare
    c_name constant text := substring(p_declaration from '\w+');
    v_declaration text;
    v_long text;
    v_short text;
begin
    select
        format(
            '%s(%s) returns %s language %s %s security %s',
            p.proname, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid), l.lanname,
            case p.provolatile when 'v' then 'volatile' when 's' then 'stable' else 'immutable' end,
            case when p.prosecdef then 'definer' else 'invoker' end
        )
    into v_declaration
    from pg_proc as p
    inner join pg_language as l on p.prolang = l.oid
    where p.pronamespace = 'public'::regnamespace and p.proname = c_name;

    for v_long, v_short in
        values
        ('(DEFAULT (?:''[^'']*''|NULL))::[a-z ]+(?:\[\])?', '\1'), ('\mDEFAULT\M', 'default'), ('\mNULL\M', 'null'),
        ('\mTABLE\M', 'table'), ('timestamp with time zone', 'timestamptz'), ('time without time zone', 'time'),
        ('character varying', 'varchar')
    loop
        v_declaration := regexp_replace(v_declaration, v_long, v_short, 'g');
    end loop;
    return is(
        pg_temp.on_one_line(v_declaration), pg_temp.on_one_line(p_declaration), format('%s is declared so', c_name)
    );
end;
$function$;

-- One assertion: of the roles of the host, these may execute the public function, and no others.
create function pg_temp.is_executed_by(p_name text, variadic p_roles text[]) returns text language plpgsql
as $function$
begin
    return set_eq(
        format(
            $$
                select r.role
                from unnest(array['anon', 'authenticated', 'service_role']) as r (role)
                cross join pg_proc as p
                where p.pronamespace = 'public'::regnamespace and p.proname = %L
                    and has_function_privilege(r.role, p.oid, 'execute')
            $$,
            p_name
        ),
        p_roles, format('%s is executed by %s', p_name, array_to_string(p_roles, ', '))
    );
end;
$function$;

-- The settings of a policy with their types, as results have them.
create function pg_temp.settings() returns text language plpgsql stable as $function$
begin
    return (
        select string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' order by a.attnum)
        from pg_attribute as a
        where a.attrelid = 'bookingdb.policies'::regclass and a.attnum > 0 and not a.attisdropped
            and a.attname not in ('id', 'therapist_id')
    );
end;
$function$;

-- The events that tell of something, in order.
create function pg_temp.events(p_subject_id uuid) returns text[] language plpgsql stable as $function$
begin
    return (select array_agg(o.event order by o.id) from bookingdb.outbox as o where o.subject_id = p_subject_id);
end;
$function$;

-- The error that a statement ends with: as PostgREST hands it on, and with DETAIL as the program reads it.
create function pg_temp.error_of(p_statement text) returns table (sqlstate text, message text, detail jsonb)
language plpgsql as $function$
declare
    v_detail text;
begin
    execute p_statement;
exception
    when others then
        get stacked diagnostics
            error_of.sqlstate = returned_sqlstate, error_of.message = message_text, v_detail = pg_exception_detail;
        error_of.detail := v_detail::jsonb;
        return next;
end;
$function$;
