create or replace function bookingdb.backoff(p_attempts integer)
returns interval
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    -- Seconds, as Standard Webhooks proposes: 5 s, 5 min, 30 min, 2, 5, 10, 14, 20 and 24 h.
    c_pauses constant integer[] := '{5,300,1800,7200,18000,36000,50400,72000,86400}';
begin
    -- A tenth more or less: receivers that come back are not met by everything at once.
    return make_interval(
        secs => c_pauses[least(greatest(p_attempts, 1), cardinality(c_pauses))] * (0.9 + 0.2 * random())
    );
end;
$function$;

comment on function bookingdb.backoff(integer) is
'Returns how long to wait after p_attempts attempts that failed, with jitter.';
