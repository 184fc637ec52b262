create or replace function bookingdb.write_hold_event(p_event text, p_hold_id uuid)
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
            'start_time', bookingdb.iso_utc(h.start_time),
            'end_time', bookingdb.iso_utc(h.end_time),
            'expires_at', bookingdb.iso_utc(h.expires_at)
        )
    from bookingdb.holds as h
    where h.id = p_hold_id;
end;
$function$;

comment on function bookingdb.write_hold_event(text, uuid) is
'Writes the event of what happened to a hold.';
