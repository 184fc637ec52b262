create or replace function bookingdb.record_new_session()
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
    v_changes jsonb;
begin
    if new.hours_overridden or new.overridden_rules is not null then
        v_changes := jsonb_strip_nulls(jsonb_build_object(
            'hours_overridden', case when new.hours_overridden then jsonb '{"new": true}' end,
            'overridden_rules', case
                when new.overridden_rules is not null then jsonb_build_object('new', new.overridden_rules)
            end
        ));
    end if;

    -- A function of bookingdb wrote calendar row and debit first: nothing but the records is left to do. (A snapshot
    -- may hide a calendar row, or show one that is gone.)
    insert into public.booking_audit_log (session_id, user_id, action, new_status, changes, actor)
    select
        new.id, new.user_id, 'created', new.status, coalesce(v_changes, jsonb '{}'),
        -- The debit names who acts: to ask again for a logged-in user would be 6 % of their booking.
        coalesce(bookingdb.own_role(), l.actor, bookingdb.actor())
    from (select) as anything
    -- Look-ups by index, whatever the statistics say. The first part of the first charge comes last in this order only
    -- where no other entry names the session.
    left join lateral (
        select
            e.actor,
            e.charge = 1 and e.part = 1 and e.kind = 'debit' and e.amount = -new.credits_charged as is_all
        from bookingdb.ledger as e
        where e.session_id = new.id
        order by e.charge desc, e.part desc, e.kind desc
        limit 1
    ) as l on true
    where new.status in ('scheduled', 'pending_approval')
        and current_setting('transaction_isolation') = 'read committed'
        and (new.credits_charged = 0 or l.is_all)
        and (
            select
                c.kind = 'session'
                and c.therapist_id = new.therapist_id
                and c.client_id = new.user_id
                and lower(c.period) = new.start_time
                and upper(c.period) = new.end_time
                and c.expires_at is not distinct from new.approval_until
            from bookingdb.calendar as c
            where c.id = new.id
        );

    if not found then
        -- Nobody else can say what was paid.
        if new.credits_charged <> 0 and new.credits_charged <> (
            select coalesce(-sum(l.amount), 0) from bookingdb.ledger as l where l.session_id = new.id
        ) then
            raise exception using
                errcode = 'integrity_constraint_violation',
                message = 'credits_charged is written by the booking functions alone';
        end if;
        insert into public.booking_audit_log (session_id, user_id, action, new_status, changes, actor)
        values (new.id, new.user_id, 'created', new.status, coalesce(v_changes, '{}'), bookingdb.actor());
        -- All rows of a statement are judged as one, by place_sessions().
        insert into bookingdb.sessions_to_place (transaction_id, trigger_depth, is_new, session_id)
        values (pg_current_xact_id(), pg_trigger_depth(), true, new.id)
        on conflict do nothing;
    end if;

    insert into bookingdb.outbox (event, subject_id, payload)
    values ('session.created', new.id, jsonb_build_object(
        'session_id', new.id,
        'user_id', new.user_id,
        'therapist_id', new.therapist_id,
        'start_time', bookingdb.iso_utc(new.start_time),
        'end_time', bookingdb.iso_utc(new.end_time),
        'old_status', null,
        'new_status', new.status
    ));
    return null;
end;
$function$;

comment on function bookingdb.record_new_session() is
'Trigger on public.sessions, per inserted row: writes audit row and event, and remembers a session that no function of bookingdb wrote for place_sessions().';
