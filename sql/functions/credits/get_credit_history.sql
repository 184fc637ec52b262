-- Public.
create or replace function bookingdb.get_credit_history(
    p_user_id uuid,
    p_limit integer default 50,
    p_before timestamptz default null
)
returns setof bookingdb.credit_entry
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
    perform bookingdb.require_limit(p_limit);
    perform bookingdb.require_credit_account(p_user_id);

    -- With ties: entries that share a timestamp stay on one page, so that none falls between two pages.
    return query
    select
        l.id,
        l.created_at,
        l.kind,
        l.amount,
        l.balance_after,
        l.lot_id,
        l.session_id,
        l.actor
    from (
        select t.*
        from bookingdb.ledger as t
        where t.user_id = p_user_id and t.created_at < coalesce(p_before, 'infinity')
        order by t.created_at desc
        fetch first p_limit rows with ties
    ) as l
    order by l.created_at desc, l.id desc;
end;
$function$;

comment on function bookingdb.get_credit_history(uuid, integer, timestamptz) is
'Returns a client''s ledger entries, newest first: amount in credits, balance_after is what was left in the lot. At most p_limit (1 to 1000) entries come, more only where the last ones share a timestamp. For the next page give the last created_at as p_before. For the user themselves and for trusted callers.';
