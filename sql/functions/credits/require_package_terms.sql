create or replace function bookingdb.require_package_terms(
    p_credits integer,
    p_validity interval,
    p_rollover_cap integer,
    p_active boolean
)
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    if p_credits is null or p_credits not between 1 and 10000 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_credits', 'minimum', 1, 'maximum', 10000
        ));
    end if;
    -- Whole days, months or years: credits end with a day. The range comes first, because parts of an infinite interval
    -- are NULL.
    if p_validity not between interval '1 day' and interval '100 years'
        or least(extract(year from p_validity), extract(month from p_validity), extract(day from p_validity)) < 0
        or date_trunc('day', p_validity) <> p_validity then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_validity', 'minimum', '1 day', 'maximum', '100 years'
        ));
    end if;
    if p_rollover_cap not between 0 and 10000 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_rollover_cap', 'minimum', 0, 'maximum', 10000
        ));
    end if;
    if p_active is null then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_active', 'reason', 'missing'
        ));
    end if;
end;
$function$;

comment on function bookingdb.require_package_terms(integer, interval, integer, boolean) is
'Refuses what no package can say: its credits, how long they can be spent, what a renewal keeps, whether it is sold. Raises: invalid_parameter.';
