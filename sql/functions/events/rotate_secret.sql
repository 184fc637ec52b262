-- Public.
create or replace function bookingdb.rotate_secret(p_name text, p_secret text)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_destination bookingdb.destinations;
    v_signing jsonb;
begin
    perform bookingdb.authorise_trusted();
    perform pg_advisory_xact_lock(bookingdb.relay_lock());
    v_destination := bookingdb.find_destination(p_name);
    if v_destination.kind <> 'webhook' or not v_destination.secrets ? 'signing' then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_name', 'reason', 'no_secret'
        ));
    end if;
    -- A receiver may still know the older of two alone.
    if p_secret is not null and jsonb_array_length(v_destination.secrets -> 'signing') > 1 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_secret', 'reason', 'rotating'
        ));
    end if;
    v_signing := case
        when p_secret is null then jsonb_build_array(v_destination.secrets #> '{signing,0}')
        else jsonb_build_array(p_secret, v_destination.secrets #> '{signing,0}')
    end;
    if not bookingdb.are_signing_secrets(v_signing) then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_secret', 'format', 'whsec_ and 24 to 64 bytes in base64'
        ));
    end if;
    update bookingdb.destinations as d
    set secrets = d.secrets || jsonb_build_object('signing', v_signing),
        updated_at = clock_timestamp()
    where d.id = v_destination.id;
end;
$function$;

comment on function bookingdb.rotate_secret(text, text) is
'Lets a webhook be signed with p_secret (whsec_ and base64) and with the one before, until the receiver knows the new one; NULL then ends the rotation: the new one alone stays. No other begins before. For trusted callers. Raises: invalid_parameter.';
