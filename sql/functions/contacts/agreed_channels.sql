create or replace function bookingdb.agreed_channels(p_consents jsonb, p_changes jsonb)
returns jsonb
language plpgsql
immutable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_channel text;
    v_answer jsonb;
    v_consents jsonb := p_consents;
begin
    if jsonb_typeof(p_changes) <> 'object' then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'consents', 'reason', 'no_object'
        ));
    end if;
    for v_channel, v_answer in select c.key, c.value from jsonb_each(p_changes) as c loop
        if v_channel !~ '^[a-z][a-z0-9_]{0,29}$' then
            perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
                'parameter', 'consents', 'reason', 'no_channel'
            ));
        end if;
        if jsonb_typeof(v_answer) not in ('boolean', 'null') then
            perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
                'parameter', 'consents', 'allowed', jsonb '[true, false]'
            ));
        end if;
        v_consents := case
            when v_answer = 'null' then v_consents - v_channel
            else v_consents || jsonb_build_object(v_channel, v_answer)
        end;
    end loop;
    if (select count(*) from jsonb_object_keys(v_consents)) > 20 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'consents', 'minimum', 0, 'maximum', 20
        ));
    end if;
    return v_consents;
end;
$function$;

comment on function bookingdb.agreed_channels(jsonb, jsonb) is
'Returns what a person agrees to, channel by channel, after they changed it: true, false, or NULL for no word. Raises: invalid_parameter.';
