create or replace function bookingdb.pass_on_person(p_from_id uuid, p_into_id uuid, p_kind text, p_reason text)
returns bookingdb.merged_client
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_session_ids constant uuid[] := array(
        select i.id
        from (select s.id from public.sessions as s where s.user_id = p_from_id offset 0) as i
        order by i.id
    );
    v_merged bookingdb.merged_client;
    v_is_new boolean;
begin
    -- 1. The locks, in the order of everybody: sessions, rows of people, people.
    if v_session_ids <> '{}' then
        perform bookingdb.lock_sessions(v_session_ids);
    end if;
    if p_kind = 'login' then
        perform bookingdb.make_login(p_from_id, p_into_id);
    end if;
    begin
        perform bookingdb.lock_person_rows(array[p_from_id, p_into_id]);
    exception
        when lock_not_available then
            perform bookingdb.raise_error('busy');
    end;
    perform bookingdb.lock_people(array[p_from_id, p_into_id]);

    -- 2. Both people, under the locks.
    if current_setting('transaction_isolation') <> 'read committed' then
        perform bookingdb.require_current_rules(array[p_from_id, p_into_id]);
        perform bookingdb.require_current_calendar(
            null, c.id, tstzrange('1900-01-01 00:00:00+00', '3000-01-01 00:00:00+00')
        )
        from unnest(array[p_from_id, p_into_id]) as c (id);
        perform bookingdb.require_current_calendar(
            p_into_id, null, tstzrange('1900-01-01 00:00:00+00', '3000-01-01 00:00:00+00')
        );
    end if;
    perform bookingdb.require_mergeable(p_from_id, p_into_id, p_kind);

    -- 3. Sessions, credits and records.
    v_merged.user_id := p_into_id;
    v_merged.sessions := bookingdb.pass_on_sessions(p_from_id, p_into_id, v_session_ids);
    v_merged.credits := bookingdb.pass_on_lots(p_from_id, p_into_id, p_reason);
    v_merged.credits_balance := bookingdb.credits_balance(p_into_id);
    perform bookingdb.pass_on_records(p_from_id, p_into_id);
    -- 4. The end of the first client, and the traces of it.
    perform bookingdb.close_merged_person(p_from_id, p_into_id, p_kind);
    insert into bookingdb.merged_people (from_user_id, into_user_id, kind, reason, actor)
    values (p_from_id, p_into_id, p_kind, p_reason, bookingdb.actor())
    on conflict do nothing;
    v_is_new := found;
    if v_is_new or v_merged.sessions > 0 or v_merged.credits > 0 then
        perform bookingdb.mark_rules_changed(array[p_from_id, p_into_id]);
        insert into bookingdb.outbox (event, subject_id, payload)
        values ('person.merged', p_into_id, jsonb_build_object(
            'user_id', p_into_id, 'old_user_id', p_from_id, 'kind', p_kind, 'sessions', v_merged.sessions,
            'credits', v_merged.credits
        ));
    end if;
    return v_merged;
end;
$function$;

comment on function bookingdb.pass_on_person(uuid, uuid, text, text) is
'Passes on what a client has to another id, for merge_clients (p_kind merge) and change_login (login). Caller holds: an authorisation, and found two different ids. Raises: busy.';
