create or replace function bookingdb.checked_contact(p_name text, p_value jsonb)
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_value text := btrim(p_value #>> '{}');
    v_reason text;
begin
    -- What ends up in the head of a mail, or in a command to a modem, has no control characters, and is one address.
    if p_value is null or p_value = 'null' then
        return null;
    elsif jsonb_typeof(p_value) <> 'string' then
        v_reason := 'no_text';
    elsif p_name = 'email' then
        if char_length(v_value) > 254
            or v_value ~ '[[:space:][:cntrl:]",:;<>()\\]' or v_value !~ '^[^@]+@[^@]+$' then
            v_reason := 'no_address';
        end if;
    elsif p_name = 'phone' then
        -- With the country's number, and without what people put between the figures.
        v_value := translate(v_value, ' ()-./', '');
        if v_value !~ '^\+[1-9][0-9]{5,14}$' then
            v_reason := 'no_phone';
        end if;
    elsif p_name = 'time_zone' then
        v_value := bookingdb.resolve_time_zone(v_value, null);
    elsif p_name = 'language' then
        -- The form of BCP 47: de, en-GB, zh-Hant-TW.
        if v_value !~ '^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$' then
            v_reason := 'no_language';
        end if;
    elsif v_value !~ '^([01][0-9]|2[0-3]):[0-5][0-9](:00)?$' then
        perform bookingdb.raise_error('invalid_time', jsonb_build_object('parameter', p_name));
    end if;
    if v_reason is not null then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', p_name, 'reason', v_reason
        ));
    end if;
    return v_value;
end;
$function$;

comment on function bookingdb.checked_contact(text, jsonb) is
'Returns the value of a key of set_contact() as it is kept; NULL takes it away. Raises: invalid_parameter, invalid_time.';
