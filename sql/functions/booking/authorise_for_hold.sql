create or replace function bookingdb.authorise_for_hold(p_hold bookingdb.holds)
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- Not authorise(), which would name the client to whoever has the hold's id.
    if not bookingdb.caller_is_trusted() and bookingdb.actor_id() is distinct from p_hold.user_id then
        perform bookingdb.raise_error('not_allowed', jsonb_build_object('hold_id', p_hold.id));
    end if;
end;
$function$;

comment on function bookingdb.authorise_for_hold(bookingdb.holds) is
'Lets the user whose hold it is and trusted callers pass. Caller holds: authorise_anyone(). Raises: not_allowed.';
