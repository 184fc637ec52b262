create or replace function public.get_credit_statement(p_user_id uuid, p_from timestamptz, p_to timestamptz)
returns table (
    entry_id bigint,
    created_at timestamptz,
    kind text,
    amount integer,
    balance bigint,
    lot_id uuid,
    session_id uuid,
    reason text,
    actor text
)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select s.entry_id, s.created_at, s.kind, s.amount, s.balance, s.lot_id, s.session_id, s.reason, s.actor
    from bookingdb.get_credit_statement(p_user_id, p_from, p_to) as s;
end;
$function$;

comment on function public.get_credit_statement(uuid, timestamptz, timestamptz) is
'A client''s credits from p_from to before p_to: a line opening with the balance, each entry of the ledger with the balance after it, a line closing. It adds up. For the user itself and for trusted callers. Errors: docs/errors.md.';
