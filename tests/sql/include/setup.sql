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

-- Books a session that is known by its title from then on, some days from today, at a time in the therapist's zone.
create function pg_temp.book(
    p_title text, p_client uuid, p_therapist uuid, p_days integer, p_time time default '10:00'
) returns uuid language plpgsql as $function$
begin
    return (
        select b.id
        from public.create_session_with_credit_deduction(
            p_client, p_therapist, current_date + p_days, p_time, p_title => p_title
        ) as b
    );
end;
$function$;

-- The session of this title, whoever asks.
create function pg_temp.session(p_title text) returns uuid language plpgsql stable security definer as $function$
begin
    return (select s.id from public.sessions as s where s.title = p_title);
end;
$function$;

-- The Monday that is eight to fourteen days from today.
create function pg_temp.monday() returns date language sql stable
return current_date + 15 - extract(isodow from current_date)::integer;

-- The next date, from the day after tomorrow on, on which the clocks of a zone go forward (or back).
create function pg_temp.clock_change(p_time_zone text, p_forward boolean) returns date language plpgsql stable
as $function$
declare
    v_date date := current_date + 2;
    v_length interval;
begin
    while v_date < current_date + 400 loop
        v_length := (v_date + 1)::timestamp at time zone p_time_zone - v_date::timestamp at time zone p_time_zone;
        if v_length <> interval '24 hours' and (v_length < interval '24 hours') = p_forward then
            return v_date;
        end if;
        v_date := v_date + 1;
    end loop;
    return null;
end;
$function$;

-- All that is written, as a fingerprint: where it stays the same, nothing was written.
create function pg_temp.written() returns text language sql stable security definer
return (
    select md5(string_agg(w.line, ' ' order by w.line))
    from (
        select u::text from public.users as u
        union all
        select s::text from public.sessions as s
        union all
        select c::text from public.user_credits as c
        union all
        select a::text from public.booking_audit_log as a
        union all
        select k::text from bookingdb.calendar as k
        union all
        select h::text from bookingdb.holds as h
        union all
        select l::text from bookingdb.ledger as l
        union all
        select o::text from bookingdb.outbox as o
        union all
        select i::text from bookingdb.idempotency_keys as i
        union all
        select p::text from bookingdb.policies as p
        union all
        select w::text from bookingdb.weekly_hours as w
        union all
        select d::text from bookingdb.date_overrides as d
    ) as w (line)
);

-- The DETAIL of the error of the table that a statement ends with; throws_ok() looks at SQLSTATE and MESSAGE only.
create function pg_temp.detail_of(p_statement text) returns jsonb language plpgsql as $function$
declare
    v_detail text;
begin
    execute p_statement;
    return null;
exception
    when others then
        get stacked diagnostics v_detail = pg_exception_detail;
        return v_detail::jsonb;
end;
$function$;

-- What a statement comes to with the session in each status, all else being equal: 'done', or the error's MESSAGE.
create function pg_temp.by_status(p_session_id uuid, p_statement text)
returns table (status text, outcome text) language plpgsql as $function$
begin
    foreach status in array array[
        'pending_approval', 'scheduled', 'confirmed', 'in_progress', 'completed', 'cancelled', 'no_show'
    ] loop
        begin
            update public.sessions as s set status = by_status.status where s.id = p_session_id;
            execute p_statement;
            -- Undoes both.
            raise exception 'done';
        exception
            when others then
                outcome := sqlerrm;
        end;
        return next;
    end loop;
end;
$function$;

-- Swallows what a statement would write, as a trigger of an application may.
create function pg_temp.swallow() returns trigger language plpgsql as $function$
begin
    return null;
end;
$function$;
