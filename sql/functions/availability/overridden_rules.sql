create or replace function bookingdb.overridden_rules(
    p_policy bookingdb.effective_policy,
    p_period tstzrange,
    p_except_id uuid,
    p_override text[],
    p_client_id uuid,
    p_is_new boolean
)
returns text[]
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_span constant tstzrange := bookingdb.bookable_span(p_policy);
begin
    return nullif(array(
        select r.rule
        from (
            values
            (
                'hours',
                not bookingdb.is_within_hours_and_limits(p_policy, p_period, p_except_id, true, false)
            ),
            (
                'limits',
                not bookingdb.is_within_hours_and_limits(p_policy, p_period, p_except_id, false, true)
                or bookingdb.exceeded_client_limit(p_policy, p_client_id, p_period, p_except_id, p_is_new) is not null
            ),
            ('maximum_advance', lower(p_period) > upper(v_span)),
            ('minimum_notice', lower(p_period) < lower(v_span))
        ) as r (rule, refuses)
        where r.rule = any (p_override) and r.refuses
        order by r.rule
    ), '{}');
end;
$function$;

comment on function bookingdb.overridden_rules(bookingdb.effective_policy, tstzrange, uuid, text[], uuid, boolean) is
'Returns those of the rules that a caller overrides which refuse this time, p_except_id left out; NULL for none. p_client_id NULL: no limit of a client counts.';
