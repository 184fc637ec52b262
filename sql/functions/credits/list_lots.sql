-- Public.
create or replace function bookingdb.list_lots(p_user_id uuid, p_include_empty boolean default false)
returns setof bookingdb.lot
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
begin
    perform bookingdb.authorise(p_user_id);
    perform bookingdb.require_credit_account(p_user_id);

    return query
    select l.*
    from public.user_credits as c
    cross join lateral bookingdb.listed_lot(c) as l
    where c.user_id = p_user_id
        and c.user_type = 'user'
        and (p_include_empty or (l.lot_balance > 0 and l.state in ('active', 'frozen')))
    order by c.priority, c.expires_at asc nulls last, c.category desc, c.created_at, c.id;
end;
$function$;

comment on function bookingdb.list_lots(uuid, boolean) is
'Lists a client''s lots that have credits to spend, frozen ones too, in spending order; with p_include_empty every lot, also used, expired and revoked ones. For the user themselves and for trusted callers.';
