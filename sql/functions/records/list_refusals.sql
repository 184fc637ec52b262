-- Public.
create or replace function bookingdb.list_refusals(
    p_user_id uuid,
    p_from timestamptz default null,
    p_to timestamptz default null,
    p_limit integer default 100
)
returns setof bookingdb.refusal
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_is_trusted constant boolean := bookingdb.caller_is_trusted();
begin
    perform bookingdb.authorise(p_user_id);
    if p_to < p_from then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_to', 'reason', 'before_from'
        ));
    end if;
    perform bookingdb.require_limit(p_limit);

    -- With ties: refusals that share a timestamp stay on one page, so that none falls between two pages.
    return query
    select
        l.id, l.refused_at, l.user_id, l.therapist_id, l.session_id, l.function_name, l.code, l.rule, l.context,
        l.actor, l.is_claim
    from (
        select r.*
        from bookingdb.refusals as r
        where r.user_id = p_user_id
            -- Users read nothing of what the practice was refused for them.
            and (v_is_trusted or r.actor = p_user_id::text)
            and r.refused_at >= coalesce(p_from, '-infinity')
            and r.refused_at < coalesce(p_to, 'infinity')
        order by r.refused_at desc
        fetch first p_limit rows with ties
    ) as l
    order by l.refused_at desc, l.id desc;
end;
$function$;

comment on function bookingdb.list_refusals(uuid, timestamptz, timestamptz, integer) is
'Returns what a user was refused from p_from to before p_to, newest first, where a policy asked for a record of it. At most p_limit (1 to 1000) come, more only where the last ones share a timestamp. For the next page give the last refused_at as p_to. For the user themselves (what they were refused, and a server that acted as them) and for trusted callers (also what others were refused for the user). is_claim is true where the user''s own login reported it. Raises: invalid_parameter.';
