-- Public.
create or replace function bookingdb.record_refusal(
    p_function_name text,
    p_code text,
    p_user_id uuid default null,
    p_therapist_id uuid default null,
    p_context jsonb default '{}'
)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
set lock_timeout = '500ms'
as $function$
declare
    c_most_per_day constant integer := 100;
    v_sqlstate text;
    v_context jsonb;
    v_refusal bookingdb.refusals;
    -- A user with a login of their own may report whatever they like about themselves.
    v_is_claim constant boolean := not bookingdb.role_is_trusted(bookingdb.effective_role());
begin
    -- lock_timeout is short, because somebody waits for the error that this is the trace of.
    perform bookingdb.authorise_anyone();
    if not bookingdb.caller_is_trusted() then
        v_refusal.user_id := bookingdb.actor_id();
        perform bookingdb.authorise(coalesce(p_user_id, v_refusal.user_id));
    end if;

    -- The table of errors itself says which code is one.
    begin
        perform bookingdb.raise_error(p_code);
    exception
        when others then
            v_sqlstate := sqlstate;
    end;
    if v_sqlstate not like 'PT%' then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_code', 'reason', 'unknown'
        ));
    end if;
    if not exists (
        select from pg_proc as f
        inner join pg_proc as e on e.proname = f.proname and e.pronamespace = 'bookingdb'::regnamespace
        where f.proname = p_function_name
            and f.pronamespace = 'public'::regnamespace
            and f.proname not in ('act_as', 'record_refusal')
    ) then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_function_name', 'reason', 'unknown'
        ));
    end if;
    if jsonb_typeof(p_context) is distinct from 'object' or octet_length(p_context::text) > 10000 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_context', 'maximum_length', 10000
        ));
    end if;
    -- A caller who asks for somebody else writes nothing into that person's record. A busy moment is no rule.
    if p_code in ('not_authenticated', 'not_allowed', 'busy') then
        return false;
    end if;

    v_context := bookingdb.kept_context(p_context);
    v_refusal.function_name := p_function_name;
    v_refusal.code := p_code;
    v_refusal.therapist_id := coalesce(p_therapist_id, (v_context ->> 'therapist_id')::uuid);
    v_refusal := bookingdb.people_of_refusal(v_refusal, p_user_id, v_context);

    if (bookingdb.policy_of(v_refusal.therapist_id)).record_refusals is not true
        or not exists (select from bookingdb.people as p where p.id = v_refusal.user_id)
        -- Calls at the same moment may exceed it by their number; a lock would let them wait for each other. Claims are
        -- counted by themselves: they push nothing out that a server reports.
        or c_most_per_day <= (
            select count(*)
            from bookingdb.refusals as r
            where r.user_id = v_refusal.user_id
                and r.refused_at > clock_timestamp() - interval '24 hours'
                and r.is_claim = v_is_claim
        ) then
        return false;
    end if;

    insert into bookingdb.refusals (
        user_id, therapist_id, session_id, function_name, code, rule, context, actor, is_claim
    )
    values (
        v_refusal.user_id, v_refusal.therapist_id, v_refusal.session_id, p_function_name, p_code, v_context ->> 'rule',
        v_context - 'rule', bookingdb.actor(), v_is_claim
    );
    return true;
end;
$function$;

comment on function bookingdb.record_refusal(text, text, uuid, uuid, jsonb) is
'Records that a call of p_function_name was refused with the error p_code, where the therapist''s policy asks for it (record_refusals), and returns whether it did. Call it after the rollback. It keeps ids, timestamps, figures and single words of p_context, the DETAIL of the error. Without p_user_id, it is whoever is logged in, or the client of the session or hold in p_context. At most 100 a day and user, and as many that the user''s own login reports: these are claims. For the user themselves and for trusted callers. Raises: invalid_parameter.';
