create or replace function bookingdb.refuse_missing_credits(p_user_id uuid, p_lot_id uuid, p_taken integer)
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_status text;
begin
    -- Credits of an expired or revoked lot cannot be moved, whatever its balance.
    select case when c.status in ('active', 'used') then 'expired' else c.status end
    into v_status
    from public.user_credits as c
    where c.id = p_lot_id
        and (c.status not in ('active', 'used') or c.expires_at <= clock_timestamp());
    if found then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_lot_id', 'lot_id', p_lot_id, 'status', v_status
        ));
    end if;
    -- The balance before this call: the error undoes what was taken.
    perform bookingdb.raise_error('insufficient_credits', jsonb_build_object(
        'credits_balance', bookingdb.credits_balance(p_user_id)::bigint + p_taken, 'lot_id', p_lot_id
    ));
end;
$function$;

comment on function bookingdb.refuse_missing_credits(uuid, uuid, integer) is
'Refuses a call that found fewer credits than it is to take, p_taken: those it took before. p_lot_id: the lot it was told to take them from. Raises: invalid_parameter, insufficient_credits.';
