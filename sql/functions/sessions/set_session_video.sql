-- Public.
create or replace function bookingdb.set_session_video(p_session_id uuid, p_url text, p_status text)
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
    v_session public.sessions;
begin
    perform bookingdb.authorise_worker();
    if p_session_id is null then
        perform bookingdb.raise_error('invalid_session_id');
    end if;
    perform bookingdb.require_length('p_url', p_url, 1, 2000);
    -- The address goes into mails and pages.
    if p_url !~ '^https://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[!-~]*)?$' then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_url', 'reason', 'no_https_address'
        ));
    end if;
    if p_status !~ '^[a-z][a-z_]{0,29}$' then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_status', 'reason', 'no_word'
        ));
    end if;

    v_session := bookingdb.lock_session(p_session_id);
    if (v_session.video_url, v_session.video_status) is distinct from (p_url, p_status) then
        update public.sessions as s
        set video_url = p_url,
            video_status = p_status
        where s.id = p_session_id;
        if not found then
            perform bookingdb.raise_write_swallowed();
        end if;
    end if;
end;
$function$;

comment on function bookingdb.set_session_video(uuid, text, text) is
'Writes where a session''s video room is (p_url, an https address, or NULL) and what became of it (p_status: ready, failed, or NULL). It is no change of the session: no revision, no audit row, no event. For trusted callers that are workers. Raises: invalid_session_id, invalid_parameter.';
