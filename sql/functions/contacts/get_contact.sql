-- Public.
create or replace function bookingdb.get_contact(p_user_id uuid)
returns bookingdb.contact
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
begin
    perform bookingdb.authorise(p_user_id);
    if not exists (select from bookingdb.people as p where p.id = p_user_id) then
        perform bookingdb.raise_error('user_not_found', jsonb_build_object('user_id', p_user_id));
    end if;
    return bookingdb.shown_contact(p_user_id);
end;
$function$;

comment on function bookingdb.get_contact(uuid) is
'Returns how a person wants to be reached. Without words of their own, the e-mail address is the application''s, and the time zone that of their policy, else the default''s. consents says per channel whether they agree; without a word of theirs, e-mail is agreed to and nothing else. For the person themselves and for trusted callers. Raises: user_not_found.';
