create or replace function bookingdb.require_one_lot(p_lot_id uuid, p_payment_reference text)
returns void
language plpgsql
immutable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- Exactly one of the two names the lot.
    if num_nonnulls(p_lot_id, p_payment_reference) <> 1 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_lot_id', 'reason', case when p_lot_id is null then 'missing' else 'given_twice' end
        ));
    end if;
    perform bookingdb.require_length('p_payment_reference', p_payment_reference, 1, 255);
end;
$function$;

comment on function bookingdb.require_one_lot(uuid, text) is
'Refuses a lot that is named by neither or both of its id and its payment reference. Raises: invalid_parameter.';
