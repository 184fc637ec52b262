create or replace function bookingdb.lot_state(p_lot public.user_credits)
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return case
        when p_lot.status in ('active', 'used') and p_lot.expires_at <= clock_timestamp() then 'expired'
        else p_lot.status
    end;
end;
$function$;

comment on function bookingdb.lot_state(public.user_credits) is
'Returns the status of a lot as it is now: expired from its end on, whether expire_credits() ran or not.';
