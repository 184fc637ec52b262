create or replace function bookingdb.require_destination_terms(p_destination bookingdb.destinations)
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    c_secret_names constant text[] := '{signing,password,api_key,secret,token}';
    v_settings constant jsonb := p_destination.settings;
    v_secrets constant jsonb := p_destination.secrets;
    v_wrong jsonb;
begin
    v_wrong := case
        when p_destination.kind !~ '^[a-z][a-z0-9_-]{0,62}$' then
            jsonb '{"parameter": "p_kind", "format": "small letters, digits, - and _"}'
        when jsonb_typeof(v_settings) <> 'object' or length(v_settings::text) > 10000 then
            jsonb '{"parameter": "p_settings", "reason": "no_object", "maximum_length": 10000}'
        when jsonb_typeof(v_secrets) <> 'object' or length(v_secrets::text) > 10000 then
            jsonb '{"parameter": "p_secrets", "reason": "no_object", "maximum_length": 10000}'
        -- Settings are shown to every trusted caller.
        when v_settings ?| c_secret_names then jsonb '{"parameter": "p_settings", "reason": "secret"}'
        when p_destination.kind = 'webhook' and not v_settings ? 'url_env'
            and coalesce(v_settings ->> 'url', '') !~ '^https?://[^/?#\s@]+([/?#]\S*)?$' then
            jsonb '{"parameter": "p_settings", "setting": "url"}'
        when p_destination.kind = 'webhook' and not v_settings ? 'signing_env'
            and bookingdb.are_signing_secrets(v_secrets -> 'signing') is not true then
            jsonb '{"parameter": "p_secrets", "setting": "signing"}'
        when p_destination.kind = 'calendar' and not exists (
            select from bookingdb.people as p
            where p.id::text = v_settings ->> 'therapist_id' and p.user_type = 'therapist'
        ) then jsonb '{"parameter": "p_settings", "setting": "therapist_id"}'
        when p_destination.kind = 'calendar' and not v_settings ? 'url_env'
            and coalesce(v_secrets ->> 'url', '') !~ '^https?://\S+$' then
            jsonb '{"parameter": "p_secrets", "setting": "url"}'
        when v_settings ? 'every_minutes' and (
            jsonb_typeof(v_settings -> 'every_minutes') = 'number'
            and (v_settings ->> 'every_minutes') ~ '^[0-9]{1,4}$'
            and (v_settings ->> 'every_minutes')::integer between 1 and 1440
        ) is not true then
            jsonb '{"parameter": "p_settings", "setting": "every_minutes", "minimum": 1, "maximum": 1440}'
    end;
    if v_wrong is not null then
        perform bookingdb.raise_error('invalid_parameter', v_wrong);
    end if;
    perform bookingdb.require_events(p_destination.events, v_settings);
end;
$function$;

comment on function bookingdb.require_destination_terms(bookingdb.destinations) is
'Refuses a destination that nothing could be sent to. Raises: invalid_parameter.';
