create or replace function bookingdb.jwt_claims()
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_claims text;
begin
    -- Claims are settings, and anyone can make a setting. They count only where PostgREST (which checked the token)
    -- or a trusted login role took on the role authenticated.
    if bookingdb.effective_role() <> 'authenticated' then
        return null;
    end if;
    if session_user <> 'authenticator' and not bookingdb.role_is_trusted(session_user) then
        return null;
    end if;

    -- A setting becomes '' after the transaction that set it. PostgREST before version 9 made a setting of each claim.
    v_claims := nullif(current_setting('request.jwt.claims', true), '');
    if v_claims is null then
        return jsonb_build_object(
            'sub', current_setting('request.jwt.claim.sub', true),
            'email', current_setting('request.jwt.claim.email', true)
        );
    end if;
    begin
        return v_claims::jsonb;
    exception
        -- The claims are not JSON, or nested deeper than the server reads.
        when data_exception or program_limit_exceeded then
            return null;
    end;
end;
$function$;

comment on function bookingdb.jwt_claims() is
'Returns the claims of the caller''s JWT. NULL where there are none, where they are broken, and where the role that set them may not vouch for them.';
