-- Installs bookingdb or brings it to this version: what `bookingdb export` writes down. It looks what the database has,
-- takes the lock, looks again, and applies what is missing.
do $bookingdb$
declare
    v_settings jsonb;
    v_is_locked boolean := false;
    v_is_installed boolean;
    v_details jsonb;
    v_problem text;
    v_is_newer boolean;
    v_is_kept boolean := false;
    v_pending text[];
    v_reason text;
    v_place text;
    v_statement text;
    v_outcome text := 'nothing to do';
begin
    -- The role, the database or the pooler may have set these: put back at the end.
    select pg_catalog.jsonb_object_agg(s.name, pg_catalog.current_setting(s.name))
    into v_settings
    from pg_catalog.unnest(:'setting_names') as s (name);
    perform
        :settings;

    v_problem := (
        select format(:'more_rights', l.login, l.owner, l.remedy)
        from (
            :lesser_owner
        ) as l
    );
    if v_problem is not null then
        raise exception using message = v_problem;
    end if;

    loop
        -- Not a plan that was made before the lock.
        execute :'is_installed' into v_is_installed;
        if not v_is_installed then
            v_pending := :'names';
            v_reason := :'reason_at_first';
        else
            select p.problem, p.is_newer, p.is_kept, p.pending, p.reason
            into v_problem, v_is_newer, v_is_kept, v_pending, v_reason
            from (
                :plan
            ) as p;
            if v_is_newer and :'ignores_newer' then
                v_reason := null;
                v_outcome := 'ignored, because the database has a newer version';
                exit;
            end if;
            if v_problem is not null then
                raise exception using message = v_problem;
            end if;
        end if;
        exit when v_reason is null or v_is_locked;

        -- Another isolation level would look at the history as it was before the lock.
        if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted')
            or current_setting('transaction_read_only')::boolean then
            raise exception 'the transaction is %; run this in one that is read committed and read write', concat_ws(
                ', ',
                current_setting('transaction_isolation'),
                case when current_setting('transaction_read_only')::boolean then 'read only' end
            )
            using hint = 'begin isolation level read committed read write';
        end if;
        perform pg_advisory_xact_lock(:'lock');
        v_is_locked := true;
        -- Once more: somebody may have done the work while this one waited.
    end loop;

    if v_reason is not null then
        if v_is_kept or not v_is_installed then
            v_problem := (
                :obstacle
            );
            if v_problem is not null then
                raise exception using message = v_problem;
            end if;
        end if;
        if v_is_installed then
            v_problem := (
                :other_owners
            );
            if v_problem is not null then
                raise exception using message = v_problem;
            end if;
            v_problem := (
                select string_agg(s.name, ', ')
                from (
                    :strays_before
                ) as s
            );
            if v_problem is not null then
                raise exception using message = format(:'strays', v_problem);
            end if;
        end if;

        perform set_config('lock_timeout', :'lock_timeout', true);
        begin
            for v_place, v_statement in
                select s.place, s.statement
                from (
                    values
:steps
                ) as s (number, place, migration, statement)
                where s.migration is null or s.migration = any (v_pending)
                order by s.number
            loop
                -- On its way through editors and checkouts the text may have got Windows line ends.
                execute replace(v_statement, chr(13), '');
            end loop;
        exception
            when lock_not_available then
                raise exception using errcode = sqlstate, message = format(:'not_locked', v_place);
            when insufficient_privilege then
                raise exception using errcode = sqlstate, message = format(:'not_permitted', v_place, sqlerrm);
            when others then
                raise exception using errcode = sqlstate, message = format(:'failed', v_place, sqlerrm);
        end;

        -- Once more: somebody may have made one meanwhile.
        v_problem := (
            :other_owners
        );
        if v_problem is not null then
            raise exception using message = v_problem;
        end if;
        v_problem := (
            select string_agg(s.name, ', ')
            from (
                :stray_functions
            ) as s
        );
        if v_problem is not null then
            raise exception using message = format(:'strays', v_problem);
        end if;
        v_details := current_setting('bookingdb.carried_over')::jsonb
            || current_setting('bookingdb.trusted_again')::jsonb;
        v_outcome := concat_ws(
            ', ',
            'applied ' || nullif(array_to_string(v_pending, ', '), ''),
            'applied functions, triggers, policies and grants (' || v_reason || ')',
            'now trusted in this database, as members of bookingdb_service were: ' || (
                select string_agg(c.name, ', ')
                from jsonb_array_elements_text(v_details -> 'carried_over') as c (name)
            ),
            'no longer trusted, as members of bookingdb_service that do not inherit from it: ' || (
                select string_agg(c.name, ', ')
                from jsonb_array_elements_text(v_details -> 'not_carried_over') as c (name)
            ),
            'trusted again, as before the tables were kept: ' || (
                select string_agg(c.name, ', ')
                from jsonb_array_elements_text(v_details -> 'trusted_again') as c (name)
            ),
            'not trusted again, because the role is gone or another one has its name: ' || (
                select string_agg(c.name, ', ')
                from jsonb_array_elements_text(v_details -> 'not_trusted_again') as c (name)
            )
        );
    end if;

    perform set_config(s.key, s.value, true) from jsonb_each_text(v_settings) as s;
    raise notice 'bookingdb %: %', :'version', v_outcome;
end;
$bookingdb$;
