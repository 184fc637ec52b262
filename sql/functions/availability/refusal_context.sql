create or replace function bookingdb.refusal_context(
    p_rule text,
    p_policy bookingdb.effective_policy,
    p_period tstzrange,
    p_except_id uuid,
    p_with_hours boolean,
    p_next_start timestamptz default null,
    p_searched_until timestamptz default null
)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    if p_next_start is null then
        -- One year is searched: others wait for the locks meanwhile, and a booking window may be ten years long.
        p_policy.maximum_advance := least(
            p_policy.maximum_advance, lower(p_period) - clock_timestamp() + interval '8784 hours'
        );
        p_next_start := bookingdb.next_start(
            p_policy, upper(p_period) - lower(p_period), coalesce(p_searched_until, lower(p_period)), null,
            p_except_id, p_with_hours
        );
    end if;
    -- With what period_context() says: the call would be 2 % of a refusal.
    return jsonb_build_object(
        'therapist_id', p_policy.therapist_id,
        'start_time', bookingdb.iso_utc(lower(p_period)),
        'end_time', bookingdb.iso_utc(upper(p_period)),
        'rule', p_rule,
        'time_zone', p_policy.time_zone,
        'next_free', bookingdb.iso_utc(p_next_start)
    );
end;
$function$;

comment on function bookingdb.refusal_context(
    text, bookingdb.effective_policy, tstzrange, uuid, boolean, timestamptz, timestamptz
) is
'Returns what DETAIL says of a refused time: the rule, the time, and the next free start within a year (NULL: none): p_next_start, or the first from p_searched_until on.';
