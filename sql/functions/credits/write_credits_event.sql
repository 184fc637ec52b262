create or replace function bookingdb.write_credits_event(
    p_event text,
    p_user_id uuid,
    p_lot_id uuid,
    p_amount integer,
    p_session_id uuid default null
)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    insert into bookingdb.outbox (event, subject_id, payload)
    values (p_event, p_lot_id, jsonb_strip_nulls(jsonb_build_object(
        'lot_id', p_lot_id, 'user_id', p_user_id, 'amount', p_amount, 'session_id', p_session_id
    )));
end;
$function$;

comment on function bookingdb.write_credits_event(text, uuid, uuid, integer, uuid) is
'Writes the event of what happened to a lot. p_amount is that of the ledger entry, negative when credits were taken.';
