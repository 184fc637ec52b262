create or replace function bookingdb.session_event_type(p_event bookingdb.outbox)
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_old_status constant text := p_event.payload ->> 'old_status';
    v_new_status constant text := p_event.payload ->> 'new_status';
    v_old_user_id constant uuid := p_event.payload ->> 'old_user_id';
begin
    -- One change is one event: the first that fits.
    return case
        when p_event.event = 'session.deleted' then 'session.deleted'
        when p_event.event <> 'session.created' and v_new_status = 'cancelled' then 'session.cancelled'
        when p_event.event = 'session.status_changed' then case
            when v_new_status in ('completed', 'no_show') then 'session.' || v_new_status
            when v_old_status in ('completed', 'cancelled', 'no_show') then 'session.reopened'
            when v_new_status = 'in_progress' then 'session.started'
            when v_old_status = 'pending_approval' and v_new_status in ('scheduled', 'confirmed')
                then 'session.approved'
            when v_old_status = 'scheduled' and v_new_status = 'confirmed' then 'session.confirmed'
            when v_new_status = 'pending_approval' then 'session.requested'
            else 'session.updated'
        end
        when p_event.event = 'session.created' then case v_new_status
            when 'pending_approval' then 'session.requested'
            else 'session.booked'
        end
        when p_event.payload ? 'old_therapist_id' then 'session.transferred'
        -- Another id of the same person is no other client.
        when v_old_user_id is not null and not exists (
            select from bookingdb.merged_people as m where m.from_user_id = v_old_user_id
        ) then 'session.transferred'
        when p_event.payload ? 'old_start_time' then 'session.rescheduled'
        else 'session.updated'
    end;
end;
$function$;

comment on function bookingdb.session_event_type(bookingdb.outbox) is
'Returns what happened to a session, by the row of the outbox that tells of its change.';
