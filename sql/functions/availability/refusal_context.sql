create or replace function bookingdb.refusal_context(
    p_rule text,
    p_policy bookingdb.effective_policy,
    p_period tstzrange,
    p_except_id uuid,
    p_with_hours boolean
)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- One year is searched: others wait for the locks meanwhile, and a booking window may be ten years long.
    p_policy.maximum_advance := least(
        p_policy.maximum_advance, lower(p_period) - clock_timestamp() + interval '8784 hours'
    );
    return bookingdb.period_context(p_policy.therapist_id, p_period) || jsonb_build_object(
        'rule', p_rule,
        'time_zone', p_policy.time_zone,
        'next_free', bookingdb.iso_utc(bookingdb.next_start(
            p_policy, upper(p_period) - lower(p_period), lower(p_period), null, p_except_id, p_with_hours
        ))
    );
end;
$function$;

comment on function bookingdb.refusal_context(
    text, bookingdb.effective_policy, tstzrange, uuid, boolean
) is
'Returns what DETAIL says of a refused time: the rule, the time, and the next free start within a year (NULL: none).';
