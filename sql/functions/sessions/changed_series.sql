create or replace function bookingdb.changed_series(p_result jsonb)
returns setof bookingdb.changed_session
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_session_id uuid;
    v_balance integer;
begin
    for v_session_id, v_balance in
        select (r.changed ->> 'session_id')::uuid, (r.changed ->> 'credits_balance')::integer
        from jsonb_array_elements(p_result) with ordinality as r (changed, place)
        order by r.place
    loop
        -- One that was deleted since is gone.
        perform s.id
        from public.sessions as s
        where s.id = v_session_id;
        if found then
            return next bookingdb.changed_session(v_session_id, v_balance);
        end if;
    end loop;
end;
$function$;

comment on function bookingdb.changed_series(jsonb) is
'Returns the sessions of an answer that series_result() made, as they stand, with the balances of then.';
