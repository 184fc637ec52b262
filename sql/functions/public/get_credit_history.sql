create or replace function public.get_credit_history(
    p_user_id uuid,
    p_limit integer default 50,
    p_before timestamptz default null
)
returns table (
    id bigint,
    created_at timestamptz,
    kind text,
    amount integer,
    balance_after integer,
    lot_id uuid,
    session_id uuid,
    actor text
)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select e.id, e.created_at, e.kind, e.amount, e.balance_after, e.lot_id, e.session_id, e.actor
    from bookingdb.get_credit_history(p_user_id, p_limit, p_before) as e;
end;
$function$;

comment on function public.get_credit_history(uuid, integer, timestamptz) is
'A client''s ledger entries, newest first: amount in credits, balance_after is what was left in the lot. At most p_limit (1 to 1000; more only where the last ones share an instant), older than p_before: give the last created_at for the next page. For the user itself and for trusted callers. Errors: docs/errors.md.';
