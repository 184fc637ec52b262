create or replace function bookingdb.raise_address_taken(p_owner_id uuid)
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
        'parameter', 'p_email', 'reason', 'of_another'
    ) || case
        when p_owner_id is not null and bookingdb.caller_is_trusted()
            then jsonb_build_object('user_id', p_owner_id)
        else '{}'
    end);
end;
$function$;

comment on function bookingdb.raise_address_taken(uuid) is
'Says that somebody else has an e-mail address; who, to trusted callers alone. Raises: invalid_parameter.';
