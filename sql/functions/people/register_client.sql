-- Public.
create or replace function bookingdb.register_client(
    p_email text,
    p_full_name text default null,
    p_user_id uuid default null
)
returns uuid
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_trusted constant boolean := bookingdb.caller_is_trusted();
    v_user_id uuid := p_user_id;
    v_therapist_id uuid;
begin
    if not v_trusted then
        -- Logged-in users register themselves, under the address that their token proves.
        v_user_id := coalesce(p_user_id, bookingdb.actor_id());
        perform bookingdb.authorise(v_user_id);
        if lower(btrim(p_email)) is distinct from lower(bookingdb.actor_email()) then
            perform bookingdb.raise_error('not_allowed', jsonb_build_object('parameter', 'p_email'));
        end if;
    end if;

    -- A therapist becomes a client, too, and keeps their name.
    v_therapist_id := bookingdb.therapist_to_register(p_email, v_user_id);
    if v_therapist_id is not null then
        if not bookingdb.needs_user_row(v_therapist_id) then
            perform bookingdb.register_therapist_as_client(v_therapist_id);
            return v_therapist_id;
        end if;
        v_user_id := v_therapist_id;
    end if;

    return bookingdb.register_person(p_email, p_full_name, v_user_id, 'user', v_trusted);
end;
$function$;

comment on function bookingdb.register_client(text, text, uuid) is
'Registers a client, active and verified, and returns their id (p_user_id where it is given); the same person again returns the same id. A therapist, meant by id and address or by the address alone, becomes a client, too: they book with others, never with themselves, and have one time in both parts. Somebody who was deactivated stays so: person_inactive. Where the users of an adopted application have a column of their own that must be filled, invalid_parameter names it, and nobody new is registered. For trusted callers, and for a logged-in user themselves under the e-mail address of their token. Raises: not_allowed.';
