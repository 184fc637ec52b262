create or replace function bookingdb.listed_lot(p_lot public.user_credits)
returns bookingdb.lot
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_listed bookingdb.lot;
begin
    v_listed := row(
        p_lot.id, p_lot.user_id, bookingdb.lot_state(p_lot), p_lot.credits_balance, p_lot.credits_purchased,
        p_lot.credits_owed, p_lot.category, p_lot.priority, p_lot.expires_at,
        case p_lot.status when 'frozen' then p_lot.frozen_at end,
        p_lot.payment_reference, p_lot.package_id, p_lot.grace_for_lot_id, p_lot.created_at
    );
    return v_listed;
end;
$function$;

comment on function bookingdb.listed_lot(public.user_credits) is
'Returns a lot in the form in which list_lots() and the functions that change one answer.';
