create or replace function bookingdb.series_result(p_sessions public.sessions[])
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return (
        select jsonb_agg(
            jsonb_build_object(
                'session_id', s.id, 'credits_balance', bookingdb.credits_balance(s.user_id)
            )
            order by s.place
        )
        from (
            select n.id, n.user_id, row_number() over () as place
            from unnest(p_sessions) as n
        ) as s
    );
end;
$function$;

comment on function bookingdb.series_result(public.sessions[]) is
'Returns what an idempotency key keeps of sessions that changed together: their ids in order, and their clients'' balances.';
