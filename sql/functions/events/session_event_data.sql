create or replace function bookingdb.session_event_data(p_event bookingdb.outbox, p_type text)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_payload constant jsonb := p_event.payload;
    v_actor text := v_payload ->> 'actor';
    v_is_lapsed constant boolean := v_payload ? 'lapsed';
    v_returned integer;
    v_data jsonb;
begin
    -- A booking writes as little as possible: who made it is in the audit log.
    if p_event.event = 'session.created' then
        select a.actor
        into v_actor
        from public.booking_audit_log as a
        where a.session_id = p_event.subject_id and a.action = 'created' and a.created_at <= p_event.created_at
        order by a.entry desc
        limit 1;
    end if;
    v_data := jsonb_build_object(
        'session_id', v_payload -> 'session_id',
        'user_id', v_payload -> 'user_id',
        'therapist_id', v_payload -> 'therapist_id',
        'start_time', v_payload -> 'start_time',
        'end_time', v_payload -> 'end_time',
        'status', v_payload -> 'new_status',
        'old_status', v_payload -> 'old_status',
        'revision', coalesce(v_payload -> 'revision', '0'),
        'actor', v_actor,
        'by', case
            when v_is_lapsed then 'nobody'
            when v_actor in (v_payload ->> 'user_id', v_payload ->> 'old_user_id') then 'client'
            when v_actor in (v_payload ->> 'therapist_id', v_payload ->> 'old_therapist_id') then 'therapist'
            when v_actor is not null then 'practice'
        end
    ) || (
        select coalesce(jsonb_object_agg(p.key, p.value), '{}')
        from jsonb_each(v_payload) as p
        where p.key in ('old_start_time', 'old_end_time', 'old_therapist_id', 'old_user_id')
    );
    if p_type = 'session.updated' then
        v_data := v_data || jsonb_build_object('columns', coalesce(
            v_payload -> 'columns',
            case when p_event.event = 'session.status_changed' then jsonb '["status"]' else '[]' end
        ));
    elsif p_type = 'session.cancelled' then
        v_returned := bookingdb.credits_returned_by(p_event.subject_id, p_event.created_at);
        v_data := v_data || jsonb_build_object(
            'refunded', v_returned > 0, 'credits', v_returned, 'lapsed', v_is_lapsed
        );
    end if;
    return v_data;
end;
$function$;

comment on function bookingdb.session_event_data(bookingdb.outbox, text) is
'Returns what an event of a session says beside its type: ids, times, statuses, who did it, and what is special about the type.';
