-- Public.
create or replace function bookingdb.list_holds(p_user_id uuid default null, p_therapist_id uuid default null)
returns setof bookingdb.listed_hold
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_now constant timestamptz := clock_timestamp();
    v_user_id uuid := p_user_id;
begin
    if not bookingdb.caller_is_trusted() then
        v_user_id := coalesce(p_user_id, bookingdb.actor_id());
        perform bookingdb.authorise(v_user_id);
    end if;

    -- No hold lives longer than an hour: one that is alive was placed a short while ago.
    return query
    select l.*
    from bookingdb.holds as h
    cross join lateral bookingdb.listed_hold(h) as l
    where h.created_at > v_now - interval '2 hours'
        and h.expires_at > v_now
        and l.state = 'held'
        and (v_user_id is null or h.user_id = v_user_id)
        and (p_therapist_id is null or h.therapist_id = p_therapist_id)
    order by h.start_time, h.id;
end;
$function$;

comment on function bookingdb.list_holds(uuid, uuid) is
'Lists the holds that are alive by start, of a client, of a therapist''s time, or of everybody. For every logged-in user, who sees their own, and for trusted callers, who see all.';
