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
        -- One that was deleted since is gone, and one that passed to other people is theirs.
        perform s.id
        from public.sessions as s
        where s.id = v_session_id
            and (bookingdb.caller_is_trusted() or bookingdb.actor_id() in (s.user_id, s.therapist_id));
        if found then
            return next bookingdb.changed_session(v_session_id, v_balance);
        end if;
    end loop;
end;
$function$;

comment on function bookingdb.changed_series(jsonb) is
'Returns the sessions of an answer that series_result() made, as they stand, with the balances of then: those in which the caller has a part.';
