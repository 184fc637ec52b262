create or replace function bookingdb.authorise_for_session(p_session public.sessions)
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_actor_id uuid;
begin
    if bookingdb.acts_for_anyone() then
        return 'trusted';
    end if;
    v_actor_id := bookingdb.actor_id();
    if v_actor_id is null then
        perform bookingdb.raise_error('not_authenticated');
    end if;
    if v_actor_id = p_session.user_id then
        return 'client';
    end if;
    if v_actor_id = p_session.therapist_id then
        return 'therapist';
    end if;
    perform bookingdb.raise_error('not_allowed', jsonb_build_object('session_id', p_session.id));
end;
$function$;

comment on function bookingdb.authorise_for_session(public.sessions) is
'Lets a session''s client, its therapist and trusted callers pass, and returns which the caller is: client, therapist or trusted. Raises: not_authenticated, not_allowed.';
