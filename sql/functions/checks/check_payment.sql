create or replace function bookingdb.check_payment()
returns table (invariant integer, subject_id uuid, problem text, context jsonb)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_indexscan = off
set enable_indexonlyscan = off
set enable_bitmapscan = off
set enable_nestloop = off
as $function$
declare
    v_occupying constant text[] := bookingdb.occupying_statuses();
begin
    return query
    select 8, s.id,
        case
            when l.balance < 0 then 'session that was charged says that it cost nothing'
            else 'session that was not cancelled got its credits back'
        end,
        -- Without the status, so that whoever acknowledged this need not do so again when the session goes on.
        jsonb_build_object('credits_charged', s.credits_charged, 'paid', -l.balance)
    from public.sessions as s
    inner join (
        select e.session_id, sum(e.amount) as balance, (array_agg(e.kind order by e.id desc))[1] as last_kind
        from bookingdb.ledger as e
        where e.session_id is not null
        group by e.session_id
    ) as l on l.session_id = s.id
    where (l.balance < 0 and s.credits_charged = 0)
        or (
            l.balance = 0
            and (
                -- A request is charged when it is approved.
                (s.status = any (v_occupying) and s.status <> 'pending_approval')
                -- Goodwill comes back after the session.
                or (s.status in ('completed', 'no_show') and l.last_kind = 'refund')
            )
        );
end;
$function$;

comment on function bookingdb.check_payment() is
'Invariant 8: returns the sessions whose status or credits_charged contradicts what the ledger took and returned for them.';
