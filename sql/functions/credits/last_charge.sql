create or replace function bookingdb.last_charge(p_session_id uuid)
returns bookingdb.session_charge
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_charge bookingdb.session_charge;
begin
    -- A return has the amount of its debit with the other sign, and every charge but the last was returned.
    select max(l.charge), -sum(l.amount), sum(l.amount) = 0
    into v_charge
    from bookingdb.ledger as l
    where l.session_id = p_session_id;
    return v_charge;
end;
$function$;

comment on function bookingdb.last_charge(uuid) is
'Returns the last charge of a session: its number, the credits not returned, and whether all were returned. NULLs: it was never charged.';
