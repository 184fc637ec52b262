create or replace function bookingdb.lock_person_to_erase(p_people uuid[])
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_locked uuid[];
    v_is_waiting boolean;
    v_lock_timeout text;
begin
    loop
        begin
            v_is_waiting := true;
            v_locked := array(
                select s.id
                from public.sessions as s
                where s.user_id = any (p_people) or s.therapist_id = any (p_people)
                order by s.id
            );
            perform bookingdb.lock_sessions(v_locked);
            perform bookingdb.lock_person_rows(p_people);
            perform bookingdb.lock_people(p_people);
            perform bookingdb.require_current_snapshot();

            -- Whoever holds a session that came since may want these people: what is locked is undone first.
            v_is_waiting := false;
            perform s.id
            from public.sessions as s
            where (s.user_id = any (p_people) or s.therapist_id = any (p_people)) and s.id <> all (v_locked)
            order by s.id
            for update nowait;
            v_is_waiting := true;
            perform bookingdb.require_no_sessions_to_come(p_people);
            v_lock_timeout := bookingdb.limit_wait();
            perform c.id
            from public.user_credits as c
            where c.user_id = any (p_people)
            order by c.user_id, c.priority, c.expires_at asc nulls last, c.category desc, c.created_at, c.id
            for update;
            perform set_config('lock_timeout', v_lock_timeout, true);
            return;
        exception
            when lock_not_available then
                if v_is_waiting then
                    perform bookingdb.raise_error('busy');
                end if;
        end;
    end loop;
end;
$function$;

comment on function bookingdb.lock_person_to_erase(uuid[]) is
'Locks all that is a person''s, in the order in which everybody locks: sessions, rows, people, lots. Raises: busy.';
