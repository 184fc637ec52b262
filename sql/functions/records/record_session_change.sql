create or replace function bookingdb.record_session_change()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_actor text := coalesce(bookingdb.own_role(), bookingdb.actor());
    v_action text;
    v_changes jsonb := jsonb '{}';
    v_details jsonb;
    v_payload jsonb;
    v_same public.sessions;
    v_is_placed boolean;
begin
    -- The functions of bookingdb write the debits before the session; nobody else can say what was paid.
    if new.credits_charged <> old.credits_charged then
        if new.credits_charged <> (
            select coalesce(-sum(l.amount), 0) from bookingdb.ledger as l where l.session_id = new.id
        ) then
            raise exception using
                errcode = 'integrity_constraint_violation',
                message = 'credits_charged is written by the booking functions alone';
        end if;
    end if;

    if tg_op = 'DELETE' then
        v_action := 'deleted';
        perform bookingdb.remember_departure(old);
    else
        -- Ledger, calendar and audit log know a session by its id.
        if new.id <> old.id then
            raise exception using
                errcode = 'integrity_constraint_violation', message = 'The id of a session cannot be changed';
        end if;

        -- Sessions that a function of bookingdb wrote have their place in the calendar. All others of a statement are
        -- judged as one, by place_sessions(). (A snapshot may hide a calendar row, or show one that is gone.)
        if new.status in ('completed', 'cancelled', 'no_show') then
            -- Its stand-in goes with it.
            v_is_placed := not exists (select from bookingdb.calendar as c where c.id = new.id)
            and not exists (select from bookingdb.overlapping_sessions as o where o.session_id = new.id);
        elsif new.status in ('pending_approval', 'scheduled', 'confirmed', 'in_progress') then
            select
                c.kind = 'session'
                and c.therapist_id = new.therapist_id
                and c.client_id = new.user_id
                and lower(c.period) = new.start_time
                and upper(c.period) = new.end_time
                and c.expires_at is not distinct from new.approval_until
            into v_is_placed
            from bookingdb.calendar as c
            where c.id = new.id;
        end if;
        if v_is_placed is not true or current_setting('transaction_isolation') <> 'read committed' then
            insert into bookingdb.sessions_to_place (transaction_id, trigger_depth, is_new, session_id)
            values (pg_current_xact_id(), pg_trigger_depth(), false, new.id)
            on conflict do nothing;
        end if;

        -- Mostly the status alone changes: one comparison of all other columns then spares session_changes().
        v_same := old;
        v_same.status := new.status;
        v_same.revision := new.revision;
        v_same.updated_at := new.updated_at;
        if new.change_reason is null and v_same operator(pg_catalog.*=) new then
            if new.status is distinct from old.status then
                v_changes := jsonb_build_object('status', jsonb_build_object('old', old.status, 'new', new.status));
            end if;
        else
            v_changes := bookingdb.session_changes(old, new);
            if new.start_time is distinct from old.start_time or new.end_time is distinct from old.end_time then
                v_details := jsonb_build_object(
                    'old_start_time', bookingdb.iso_utc(old.start_time), 'old_end_time', bookingdb.iso_utc(old.end_time)
                );
            end if;
        end if;
        -- The words of last time, given again: no change of the column, but this is the change that they are for.
        if new.change_reason = old.change_reason then
            if current_setting('bookingdb.same_reason', true) = new.id::text then
                v_changes := v_changes || jsonb '{"change_reason": {}}';
                perform set_config('bookingdb.same_reason', '', true);
            end if;
        end if;
        if v_changes = '{}' then
            return null;
        end if;
        -- A lapse is nobody's act, whoever's booking found it: lapse_sessions() has marked it. (An expression with a
        -- query in it is run as a query, even where its first part decides.)
        if old.approval_until <= clock_timestamp() then
            if exists (
                select from bookingdb.calendar as c
                where c.id = new.id and c.kind = 'session' and c.is_lapsed
            ) then
                v_actor := 'bookingdb';
                v_details := coalesce(v_details, '{}') || '{"lapsed": true}';
            end if;
        end if;
        if new.status is distinct from old.status then
            v_action := 'status_changed';
        else
            v_action := 'updated';
            -- Each override is on record, also one of the same rules as before. A function that moves or transfers a
            -- session has moved its calendar row; whoever writes directly is judged by no rule, and overrides none.
            if new.overridden_rules is not null then
                if not v_changes ? 'overridden_rules'
                    and v_changes ?| array['start_time', 'end_time', 'therapist_id']
                    and exists (
                        select from bookingdb.calendar as c
                        where c.id = new.id
                            and c.kind = 'session'
                            and c.therapist_id = new.therapist_id
                            and lower(c.period) = new.start_time
                            and upper(c.period) = new.end_time
                    ) then
                    v_changes := v_changes || jsonb_build_object('overridden_rules', jsonb_build_object(
                        'old', old.overridden_rules, 'new', new.overridden_rules
                    ));
                end if;
            end if;
            if v_details is null then
                v_details := jsonb_build_object('columns', array(select jsonb_object_keys(v_changes)));
            end if;
        end if;

        -- The person who lost the session must hear of it, too.
        if new.therapist_id is distinct from old.therapist_id or new.user_id is distinct from old.user_id then
            v_details := coalesce(v_details, '{}') || (
                select jsonb_object_agg('old_' || c.key, c.value -> 'old')
                from jsonb_each(v_changes) as c
                where c.key in ('therapist_id', 'user_id')
            );
            if v_changes ? 'therapist_id' then
                perform bookingdb.remember_departure(old);
            end if;
        end if;
    end if;

    v_payload := jsonb_build_object(
        'session_id', coalesce(new.id, old.id),
        'user_id', coalesce(new.user_id, old.user_id),
        'therapist_id', coalesce(new.therapist_id, old.therapist_id),
        'start_time', bookingdb.iso_utc(coalesce(new.start_time, old.start_time)),
        'end_time', bookingdb.iso_utc(coalesce(new.end_time, old.end_time)),
        'old_status', old.status,
        'new_status', new.status,
        -- A session that is gone was changed once more.
        'revision', coalesce(new.revision, old.revision + 1),
        'actor', v_actor
    );
    if v_details is not null then
        v_payload := v_payload || v_details;
    end if;
    with audited as (
        insert into public.booking_audit_log (session_id, user_id, action, old_status, new_status, changes, actor)
        values (
            coalesce(new.id, old.id), case when tg_op = 'DELETE' then old.user_id else new.user_id end, v_action,
            old.status, new.status, v_changes, v_actor
        )
    )

    insert into bookingdb.outbox (event, subject_id, payload)
    values ('session.' || v_action, coalesce(new.id, old.id), v_payload);
    return null;
end;
$function$;

comment on function bookingdb.record_session_change() is
'Trigger on public.sessions, per updated or deleted row: writes the audit row, which nobody else writes, and the event.';
