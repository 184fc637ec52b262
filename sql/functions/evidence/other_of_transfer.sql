create or replace function bookingdb.other_of_transfer(p_entry bookingdb.ledger)
returns uuid
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- A lot is locked while its credits pass on, so the nearest entry is the other one.
    if p_entry.source_lot_id is not null then
        return (
            select (array_agg(l.user_id order by l.id desc))[1]
            from bookingdb.ledger as l
            where l.lot_id = p_entry.source_lot_id
                and l.kind = 'transfer'
                and l.amount = -p_entry.amount
                and l.id < p_entry.id
        );
    end if;
    return (
        select (array_agg(l.user_id order by l.id))[1]
        from bookingdb.ledger as l
        where l.source_lot_id = p_entry.lot_id
            and l.kind = 'transfer'
            and l.amount = -p_entry.amount
            and l.id > p_entry.id
    );
end;
$function$;

comment on function bookingdb.other_of_transfer(bookingdb.ledger) is
'Returns who gave the credits of an entry (transfer), or who got them; NULL: nobody else.';
