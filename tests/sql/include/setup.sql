-- What every file here begins with. Part of the transaction that includes it, hence gone with its rollback.

-- The roles of a host such as Supabase, with what the real grants give them; where they exist, nothing changes.
do $block$
declare
    v_role text;
begin
    foreach v_role in array array['anon', 'authenticated', 'service_role'] loop
        if to_regrole(v_role) is null then
            execute format('create role %I nologin', v_role);
        end if;
    end loop;
end;
$block$;

\ir ../../../sql/grants.sql

-- Short names for the ids of people, who are registered by the files that need them.
create function pg_temp.therapist() returns uuid language sql immutable
return uuid '00000000-0000-4000-8000-0000000000a1';
create function pg_temp.other_therapist() returns uuid language sql immutable
return uuid '00000000-0000-4000-8000-0000000000a2';
create function pg_temp.client() returns uuid language sql immutable
return uuid '00000000-0000-4000-8000-0000000000c1';
create function pg_temp.other_client() returns uuid language sql immutable
return uuid '00000000-0000-4000-8000-0000000000c2';
create function pg_temp.poor_client() returns uuid language sql immutable
return uuid '00000000-0000-4000-8000-0000000000c3';
create function pg_temp.stranger() returns uuid language sql immutable
return uuid '00000000-0000-4000-8000-0000000000ff';

-- The token that the role authenticated comes with from now on.
create function pg_temp.claim(p_sub uuid, p_email text default null) returns void language plpgsql as $function$
begin
    perform set_config('request.jwt.claims', jsonb_build_object('sub', p_sub, 'email', p_email)::text, true);
end;
$function$;
