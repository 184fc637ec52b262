create or replace function bookingdb.overriding_policy(p_policy bookingdb.effective_policy, p_override text[])
returns bookingdb.effective_policy
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- Hours are no settings: whoever asks for the time leaves them out (p_with_hours).
    if 'minimum_notice' = any (p_override) then
        p_policy.minimum_notice := interval '0';
    end if;
    if 'maximum_advance' = any (p_override) then
        p_policy.maximum_advance := interval '3650 days';
    end if;
    -- 1000 means no limit.
    if 'limits' = any (p_override) then
        p_policy.maximum_sessions_per_day := 1000;
        p_policy.maximum_sessions_per_week := 1000;
        p_policy.maximum_open_sessions := 1000;
        p_policy.maximum_client_sessions_per_week := 1000;
    end if;
    return p_policy;
end;
$function$;

comment on function bookingdb.overriding_policy(bookingdb.effective_policy, text[]) is
'Returns a policy without the rules that are overridden (require_override).';
