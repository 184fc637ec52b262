create or replace function bookingdb.lot_of_payment(p_payment_reference text)
returns uuid
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return (
        select p.lot_id
        from bookingdb.payments as p
        where p.payment_key = bookingdb.payment_key(p_payment_reference)
    );
end;
$function$;

comment on function bookingdb.lot_of_payment(text) is
'Returns the lot that a payment was granted as, also where its reference was erased since, or NULL.';
