-- Public.
create or replace function bookingdb.get_session(p_session_id uuid)
returns bookingdb.listed_session
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
begin
    perform bookingdb.authorise_anyone();
    if p_session_id is null then
        perform bookingdb.raise_error('invalid_session_id');
    end if;
    return bookingdb.listed_session(bookingdb.find_session(p_session_id));
end;
$function$;

comment on function bookingdb.get_session(uuid) is
'Returns a session as list_sessions() does: with the names of both people and what the caller may do next. For the client, the therapist and trusted callers. Raises: invalid_session_id.';
