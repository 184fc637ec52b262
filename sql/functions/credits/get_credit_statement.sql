-- Public.
create or replace function bookingdb.get_credit_statement(p_user_id uuid, p_from timestamptz, p_to timestamptz)
returns setof bookingdb.statement_line
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_first timestamptz;
    v_opening bigint;
begin
    perform bookingdb.authorise(p_user_id);
    if p_from is null or not isfinite(p_from) then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_from', 'reason', 'missing'
        ));
    end if;
    if p_to is null or not isfinite(p_to) or p_to < p_from then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_to', 'reason', case when p_to < p_from then 'before_from' else 'missing' end
        ));
    end if;
    perform bookingdb.require_credit_account(p_user_id);

    -- What the client had at p_from: the sum of the entries before it, or what is in the lots now less the entries
    -- since. The shorter of the two times is read.
    select l.created_at
    into v_first
    from bookingdb.ledger as l
    where l.user_id = p_user_id
    order by l.created_at
    limit 1;
    if p_from - v_first > clock_timestamp() - p_from then
        select coalesce(sum(c.credits_balance), 0)
        into v_opening
        from public.user_credits as c
        where c.user_id = p_user_id;
        select v_opening - coalesce(sum(l.amount), 0)
        into v_opening
        from bookingdb.ledger as l
        where l.user_id = p_user_id and l.created_at >= p_from;
    else
        select coalesce(sum(l.amount), 0)
        into v_opening
        from bookingdb.ledger as l
        where l.user_id = p_user_id and l.created_at < p_from;
    end if;

    -- The balances are those of the ledger: expired credits count until expire_credits() posts the expiry.
    return query
    with entries as (
        select
            l.*,
            v_opening + sum(l.amount) over (order by l.created_at, l.id) as total
        from bookingdb.ledger as l
        where l.user_id = p_user_id and l.created_at >= p_from and l.created_at < p_to
    )
    select s.entry_id, s.created_at, s.kind, s.amount, s.balance, s.lot_id, s.session_id, s.reason, s.actor
    from (
        select 1 as part, null::bigint as entry_id, p_from as created_at, 'opening' as kind, null::integer as amount,
            v_opening as balance, null::uuid as lot_id, null::uuid as session_id, null as reason, null as actor
        union all
        select 2, e.id, e.created_at, e.kind, e.amount, e.total, e.lot_id, e.session_id, e.reason, e.actor
        from entries as e
        union all
        select 3, null, p_to, 'closing', null, v_opening + coalesce(sum(e.amount), 0), null, null, null, null
        from entries as e
    ) as s
    order by s.part, s.created_at, s.entry_id;
end;
$function$;

comment on function bookingdb.get_credit_statement(uuid, timestamptz, timestamptz) is
'Returns a client''s credits from p_from to before p_to: a line opening with the balance, each entry of the ledger with the balance after it, a line closing. The lines add up. For the user themselves and for trusted callers. Raises: invalid_parameter.';
