create or replace function bookingdb.pass_on_records(p_from_id uuid, p_into_id uuid)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    update bookingdb.holds as h
    set user_id = p_into_id
    where h.user_id = p_from_id;
    update bookingdb.refusals as r
    set user_id = p_into_id
    where r.user_id = p_from_id;

    perform bookingdb.pass_on_contact(p_from_id, p_into_id);

    -- A retry that names a session or a hold is looked up under the client of today. One that names the client, who was
    -- merged, is looked up under the id that it names.
    update bookingdb.idempotency_keys as k
    set user_id = p_into_id
    where k.user_id = p_from_id
        and exists (
            select from pg_proc as p
            where p.pronamespace = 'bookingdb'::regnamespace
                and p.proname = k.function_name
                and p.proargnames && array['p_session_id', 'p_hold_id']
        )
        and not exists (
            select from bookingdb.idempotency_keys as o
            where o.function_name = k.function_name and o.user_id = p_into_id and o.key = k.key
        );
exception
    when unique_violation then
        -- REPEATABLE READ and SERIALIZABLE hide the other one's key; a new transaction sees it.
        perform bookingdb.raise_error('busy');
end;
$function$;

comment on function bookingdb.pass_on_records(uuid, uuid) is
'Gives a client''s holds, refusals and the idempotency keys of calls about sessions to another client. Caller holds: the locks of both people. Raises: busy.';
