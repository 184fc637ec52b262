create or replace function bookingdb.require_override(p_override text[])
returns text[]
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_all constant text[] := array['hours', 'limits', 'maximum_advance', 'minimum_notice'];
begin
    if 'all' = any (p_override) then
        return v_all;
    end if;
    -- A NULL in the list is the name of no rule.
    if not coalesce(p_override <@ v_all, true) or array_position(p_override, null) is not null then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_override', 'allowed', to_jsonb(v_all || 'all'::text)
        ));
    end if;
    -- No rules are no override, and their order and number say nothing.
    return nullif(array(select distinct o.rule from unnest(p_override) as o (rule) order by o.rule), '{}');
end;
$function$;

comment on function bookingdb.require_override(text[]) is
'Returns the rules that a caller overrides, each once and in order, or NULL for none; all stands for every one. Raises: invalid_parameter.';
