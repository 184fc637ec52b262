create or replace function bookingdb.require_client_limits(
    p_policy bookingdb.effective_policy,
    p_client_id uuid,
    p_period tstzrange,
    p_except_id uuid,
    p_is_new boolean
)
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_exceeded jsonb := bookingdb.exceeded_client_limit(
        p_policy, p_client_id, p_period, p_except_id, p_is_new
    );
begin
    if v_exceeded is not null then
        -- A therapist learns nothing of what the client has with others.
        if not bookingdb.caller_is_trusted() and bookingdb.actor_id() is distinct from p_client_id then
            v_exceeded := v_exceeded - 'count';
        end if;
        perform bookingdb.raise_error('client_limit', bookingdb.period_context(
            p_policy.therapist_id, p_period
        ) || v_exceeded);
    end if;
end;
$function$;

comment on function bookingdb.require_client_limits(
    bookingdb.effective_policy, uuid, tstzrange, uuid, boolean
) is
'Refuses a client one session or hold more, p_except_id left out. p_is_new false: it only moves to another week. Caller holds: the client''s lock, and marked them. Raises: client_limit.';
