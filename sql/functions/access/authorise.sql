create or replace function bookingdb.authorise(p_user_id uuid)
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_actor_id uuid;
begin
    if not bookingdb.acts_for_anyone() then
        v_actor_id := bookingdb.actor_id();
        if v_actor_id is null then
            perform bookingdb.raise_error('not_authenticated');
        end if;
        if p_user_id is not null and p_user_id <> v_actor_id then
            perform bookingdb.raise_error('not_allowed', jsonb_build_object('user_id', p_user_id));
        end if;
    end if;

    if p_user_id is null then
        perform bookingdb.raise_error('invalid_user_id');
    end if;
end;
$function$;

comment on function bookingdb.authorise(uuid) is
'Lets a trusted caller act for any user, and a logged-in user for themselves. Raises: not_authenticated, not_allowed, invalid_user_id.';
