create or replace function bookingdb.last_charge(p_session_id uuid)
returns bookingdb.session_charge
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_last record;
    v_charge bookingdb.session_charge;
begin
    -- Every charge but the last was returned. The last entry, in this order, is that of the last part: the return, if
    -- there is one, before the debit. (Aggregates would cost a cancellation 1 %.)
    select l.charge, l.part, l.kind, l.amount, l.is_forfeited
    into v_last
    from bookingdb.ledger as l
    where l.session_id = p_session_id
    order by l.charge desc, l.part desc, l.kind desc
    limit 1;
    if v_last.part > 1 then
        -- A return has the amount of its debit with the other sign.
        select
            max(l.charge), -sum(l.amount), sum(l.amount) = 0,
            sum(l.amount) = 0 and bool_or(l.amount > 0 and l.is_forfeited is null)
        into v_charge
        from bookingdb.ledger as l
        where l.session_id = p_session_id and l.charge = v_last.charge;
    elsif v_last.kind = 'debit' then
        v_charge := row(v_last.charge, -v_last.amount, false, false);
    elsif v_last.charge is not null then
        v_charge := row(v_last.charge, 0, true, v_last.is_forfeited is null);
    end if;
    return v_charge;
end;
$function$;

comment on function bookingdb.last_charge(uuid) is
'Returns the last charge of a session: its number, the credits not returned, whether all were, and whether any can be spent again. NULLs: it was never charged.';
