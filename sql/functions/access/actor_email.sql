create or replace function bookingdb.actor_email()
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return nullif(bookingdb.jwt_claims() ->> 'email', '');
end;
$function$;

comment on function bookingdb.actor_email() is
'Returns the e-mail address that the caller''s JWT proves (claim email), or NULL.';
