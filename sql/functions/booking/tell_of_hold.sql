create or replace function bookingdb.tell_of_hold(p_event text, p_hold_id uuid)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    insert into bookingdb.outbox (event, subject_id, payload)
    select
        p_event,
        h.id,
        jsonb_build_object(
            'hold_id', h.id,
            'user_id', h.user_id,
            'therapist_id', h.therapist_id,
            'start_time', bookingdb.utc(h.start_time),
            'end_time', bookingdb.utc(h.end_time),
            'expires_at', bookingdb.utc(h.expires_at)
        )
    from bookingdb.holds as h
    where h.id = p_hold_id;
end;
$function$;

comment on function bookingdb.tell_of_hold(text, uuid) is
'Writes the event of the outbox for what happened to a hold.';
