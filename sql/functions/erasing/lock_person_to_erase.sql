create or replace function bookingdb.lock_person_to_erase(p_user_id uuid, p_wait boolean default true)
returns uuid[]
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_people uuid[];
    v_locked uuid[];
    v_awaited_id uuid;
    v_is_busy boolean;
    v_lock_timeout text;
begin
    -- Rows are locked in this block alone, so that whoever waits for them goes on when it is undone.
    loop
        begin
            v_is_busy := true;
            v_people := bookingdb.ids_of_person(p_user_id);
            v_locked := array(select s.id from bookingdb.sessions_of_person(v_people) as s (id) order by s.id);
            v_lock_timeout := bookingdb.limit_wait();
            v_awaited_id := bookingdb.try_lock_sessions(v_locked, v_awaited_id);
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_awaited_id is not null then
                v_is_busy := not p_wait;
                raise lock_not_available;
            end if;
            perform bookingdb.lock_person_rows(v_people);
            perform bookingdb.lock_people(v_people);
            perform bookingdb.require_current_snapshot();

            -- The holder of a session that came since may want these people, so the locks are undone first.
            v_is_busy := not p_wait;
            v_awaited_id := bookingdb.try_lock_sessions(array(
                select s.id
                from bookingdb.sessions_of_person(v_people) as s (id)
                where s.id <> all (v_locked)
                order by s.id
            ), null);
            if v_awaited_id is not null then
                raise lock_not_available;
            end if;
            -- A merge that others finished during the wait has given the person other ids.
            if bookingdb.ids_of_person(p_user_id) <> v_people then
                raise lock_not_available;
            end if;
            v_is_busy := true;
            perform bookingdb.lapse_sessions(array(
                select s.id
                from public.sessions as s
                where s.id in (select o.id from bookingdb.sessions_of_person(v_people) as o (id))
                    and s.status = 'pending_approval'
                    and s.approval_until <= clock_timestamp()
            ), true);
            perform bookingdb.require_no_sessions_to_come(v_people);
            v_lock_timeout := bookingdb.limit_wait();
            perform c.id
            from public.user_credits as c
            where c.user_id = any (v_people)
            order by c.user_id, c.priority, c.expires_at asc nulls last, c.category desc, c.created_at, c.id
            for update;
            perform set_config('lock_timeout', v_lock_timeout, true);
            return v_people;
        exception
            when lock_not_available then
                if v_is_busy then
                    perform bookingdb.raise_error('busy');
                end if;
        end;
    end loop;
end;
$function$;

comment on function bookingdb.lock_person_to_erase(uuid, boolean) is
'Locks all that is a person''s, in everybody''s order (sessions, rows, people, lots), and returns their ids. Due requests lapse. Without p_wait a session that is not free is refused. Raises: busy.';
