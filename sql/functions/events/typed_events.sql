create or replace function bookingdb.typed_events(p_event bookingdb.outbox)
returns setof bookingdb.typed_event
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_type text := p_event.event;
    v_data jsonb := p_event.payload;
    v_derived bookingdb.typed_event[] := '{}';
begin
    begin
        if p_event.event in ('session.created', 'session.status_changed', 'session.updated', 'session.deleted') then
            v_type := bookingdb.session_event_type(p_event);
            v_data := bookingdb.session_event_data(p_event, v_type);
        elsif p_event.event = 'credits.refunded' then
            v_type := 'credits.returned';
        elsif p_event.event = 'hold.booked' then
            -- The session has the id of its hold.
            v_data := v_data || jsonb_build_object('session_id', v_data -> 'hold_id');
        end if;
        if p_event.event like 'session.%' then
            v_derived := array(select s from bookingdb.spent_credits_events(p_event) as s);
        end if;
    exception
        -- An application may write rows of any form: one that cannot be read is told as it is, and holds up no other.
        when others then
            v_type := p_event.event;
            v_data := p_event.payload;
            v_derived := '{}';
    end;
    return next row(0, v_type, p_event.subject_id, v_data)::bookingdb.typed_event;
    return query
    select d.*
    from unnest(v_derived) as d;
end;
$function$;

comment on function bookingdb.typed_events(bookingdb.outbox) is
'Returns what a row of the outbox tells: part 0 is its own event, by the name that says what happened; others follow from it. An event of an application''s own stays as it is.';
