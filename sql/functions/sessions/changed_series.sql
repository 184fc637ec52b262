create or replace function bookingdb.changed_series(p_result jsonb)
returns setof bookingdb.changed_session
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select c.*
    from jsonb_array_elements(p_result) with ordinality as r (changed, place)
    -- One that was deleted since is gone.
    inner join public.sessions as s on s.id = (r.changed ->> 'session_id')::uuid
    cross join lateral bookingdb.changed_session(s.id, (r.changed ->> 'credits_balance')::integer) as c
    order by r.place;
end;
$function$;

comment on function bookingdb.changed_series(jsonb) is
'Returns the sessions of an answer that series_result() made, as they stand, with the balances of then.';
