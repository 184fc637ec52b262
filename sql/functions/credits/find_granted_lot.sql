create or replace function bookingdb.find_granted_lot(p_payment_reference text, p_user_id uuid, p_amount integer)
returns uuid
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_lot public.user_credits;
begin
    select c.*
    into v_lot
    from public.user_credits as c
    where c.id = bookingdb.lot_of_payment(p_payment_reference);

    -- The expiry is not compared, because a retry computes it anew.
    if (v_lot.user_id <> p_user_id and v_lot.user_id is distinct from bookingdb.merged_into(p_user_id))
        or v_lot.credits_purchased <> p_amount then
        perform bookingdb.raise_error('idempotency_key_reused', jsonb_build_object('parameter', 'p_payment_reference'));
    end if;
    if v_lot.status = 'revoked' then
        perform bookingdb.raise_error('grant_revoked', jsonb_build_object('lot_id', v_lot.id));
    end if;
    return v_lot.id;
end;
$function$;

comment on function bookingdb.find_granted_lot(text, uuid, integer) is
'Returns the lot that this payment was granted as, or NULL. Refuses the payment of another user or another amount (NULL: any), and one that was revoked. Raises: idempotency_key_reused, grant_revoked.';
