create or replace function bookingdb.refuse_merged_person(p_user_id uuid)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_merged_into constant uuid := bookingdb.merged_into(p_user_id);
begin
    if v_merged_into is null then
        return;
    end if;
    perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
        'parameter', 'p_user_id', 'reason', 'merged'
    ) || case
        when bookingdb.caller_is_trusted() then jsonb_build_object('user_id', v_merged_into)
        else '{}'
    end);
end;
$function$;

comment on function bookingdb.refuse_merged_person(uuid) is
'Refuses somebody who was merged; trusted callers learn who they are now. Caller holds: the lock of their row. Raises: invalid_parameter.';
