create or replace function bookingdb.session_steps(p_session_id uuid)
returns setof bookingdb.session_step
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
declare
    -- The audit log has no words. Those of the last change are the session's, where they can be erased.
    v_last_reason constant bigint := (
        select (array_agg(a.entry order by a.entry desc))[1]
        from public.booking_audit_log as a
        where a.session_id = p_session_id and a.changes ? 'change_reason'
    );
begin
    return query
    select
        a.created_at,
        'audit',
        case
            when a.action <> 'updated' then a.action
            when a.changes ?| array['start_time', 'end_time', 'scheduled_date', 'scheduled_time'] then 'moved'
            when a.changes ? 'therapist_id' then 'transferred'
            else 'updated'
        end,
        a.actor,
        null::text,
        null::text,
        jsonb_build_object(
            'old_status', a.old_status, 'new_status', a.new_status, 'changes', bookingdb.resolved_changes(a.changes)
        ) || case
            when a.action = 'created' then bookingdb.session_as_created(p_session_id)
            when a.entry = v_last_reason then jsonb_build_object('reason', (
                select s.change_reason from public.sessions as s where s.id = p_session_id
            ))
            else '{}'
        end
    from public.booking_audit_log as a
    where a.session_id = p_session_id
    order by a.entry;

    return query
    select l.created_at, 'ledger', l.kind, l.actor, null::text, null::text, jsonb_build_object(
        'user_id', l.user_id, 'lot_id', l.lot_id, 'amount', l.amount, 'balance_after', l.balance_after,
        'reason', l.reason, 'charge', l.charge, 'part', l.part, 'payment_reference', (
            select c.payment_reference from public.user_credits as c where c.id = l.lot_id
        )
    ) || case when l.is_forfeited then jsonb '{"is_forfeited": true}' else '{}' end
    from bookingdb.ledger as l
    where l.session_id = p_session_id
    order by l.id;

    return query
    select h.created_at, 'hold', 'placed', null::text, null::text, null::text, jsonb_build_object(
        'user_id', h.user_id, 'therapist_id', h.therapist_id, 'start_time', h.start_time, 'end_time', h.end_time,
        'time_zone', h.time_zone, 'expires_at', h.expires_at
    )
    from bookingdb.holds as h
    where h.id = p_session_id;

    return query
    select r.refused_at, 'refusal', r.code, r.actor, null::text, null::text, r.context || jsonb_build_object(
        'user_id', r.user_id, 'function_name', r.function_name, 'rule', r.rule, 'is_claim', r.is_claim
    )
    from bookingdb.refusals as r
    where r.session_id = p_session_id
    order by r.id;
end;
$function$;

comment on function bookingdb.session_steps(uuid) is
'Returns what audit log, ledger, holds and refusals say of a session, each in its own order.';
