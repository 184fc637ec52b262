create or replace function bookingdb.lot_family(p_lot_id uuid)
returns uuid[]
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- The ledger knows them all, even where a lot between was deleted.
    return array(
        with recursive family as (
            select p_lot_id as id
            union
            select g.id
            from family as f
            cross join lateral (
                -- The grace lots in which its credits came back.
                select r.lot_id as id
                from bookingdb.ledger as d
                inner join bookingdb.ledger as r
                    on r.session_id = d.session_id
                    and r.charge = d.charge
                    and r.part = d.part
                    and r.kind in ('refund', 'goodwill')
                    and r.lot_id <> d.lot_id
                where d.lot_id = f.id and d.kind = 'debit'
                union all
                -- The lots that its credits were transferred to.
                select t.lot_id
                from bookingdb.ledger as t
                where t.source_lot_id = f.id
                -- Not flattened: a hash join would read the whole ledger.
                offset 0
            ) as g
        )

        select f.id
        from family as f
    );
end;
$function$;

comment on function bookingdb.lot_family(uuid) is
'Returns the lots that a lot''s credits are in, itself first: the grace lots in which they came back, and the lots they were transferred to.';
