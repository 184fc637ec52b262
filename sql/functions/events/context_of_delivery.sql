create or replace function bookingdb.context_of_delivery(p_delivery bookingdb.deliveries)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_session public.sessions;
    v_client_id uuid := bookingdb.uuid_of(p_delivery.data ->> 'user_id');
    v_therapist_id uuid := bookingdb.uuid_of(p_delivery.data ->> 'therapist_id');
begin
    select s.*
    into v_session
    from public.sessions as s
    where s.id = bookingdb.uuid_of(p_delivery.data ->> 'session_id');
    v_client_id := coalesce(v_session.user_id, v_client_id);
    v_therapist_id := coalesce(v_session.therapist_id, v_therapist_id);
    return jsonb_build_object(
        'session', case when v_session.id is not null then jsonb_build_object(
            'id', v_session.id,
            'title', v_session.title,
            'session_type', v_session.session_type,
            'status', v_session.status,
            'start_time', bookingdb.iso_utc(v_session.start_time),
            'end_time', bookingdb.iso_utc(v_session.end_time),
            'time_zone', v_session.time_zone,
            'duration_minutes', v_session.duration_minutes,
            'revision', v_session.revision,
            'video_url', v_session.video_url,
            'video_status', v_session.video_status,
            'free_cancellation_until', bookingdb.iso_utc(v_session.free_cancellation_until)
        ) end,
        'client', bookingdb.contact_of(v_client_id, false),
        'therapist', bookingdb.contact_of(v_therapist_id, true),
        'recipient', case p_delivery.recipient_id
            when v_client_id then 'client'
            when v_therapist_id then 'therapist'
            when bookingdb.uuid_of(p_delivery.data ->> 'user_id') then 'former_client'
            when bookingdb.uuid_of(p_delivery.data ->> 'old_user_id') then 'former_client'
            when bookingdb.uuid_of(p_delivery.data ->> 'therapist_id') then 'former_therapist'
            when bookingdb.uuid_of(p_delivery.data ->> 'old_therapist_id') then 'former_therapist'
        end,
        'former', case
            when p_delivery.recipient_id = v_client_id or p_delivery.recipient_id = v_therapist_id then null
            when p_delivery.recipient_id <> '00000000-0000-0000-0000-000000000000' then bookingdb.contact_of(
                p_delivery.recipient_id,
                p_delivery.recipient_id::text in (
                    p_delivery.data ->> 'therapist_id', p_delivery.data ->> 'old_therapist_id'
                )
            )
        end,
        'credits_left', case when v_client_id is not null then bookingdb.credits_balance(v_client_id) end,
        'credits_charged', (
            select c.credits from bookingdb.last_charge(bookingdb.uuid_of(p_delivery.data ->> 'session_id')) as c
        ),
        'old_therapist_name', case when p_delivery.data ->> 'old_therapist_id' is not null then bookingdb.person_name(
            bookingdb.uuid_of(p_delivery.data ->> 'old_therapist_id'), true
        ) end
    );
end;
$function$;

comment on function bookingdb.context_of_delivery(bookingdb.deliveries) is
'Returns what a message to people needs beside the event: the session as it is now, and how its people are reached.';
