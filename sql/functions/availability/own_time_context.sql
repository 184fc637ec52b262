create or replace function bookingdb.own_time_context(
    p_client_id uuid,
    p_therapist_id uuid,
    p_period tstzrange,
    p_except_id uuid
)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- A therapist who moves a session learns nothing of what else its client has.
    if not bookingdb.caller_is_trusted() and bookingdb.actor_id() is distinct from p_client_id then
        return '{}';
    end if;
    return coalesce((
        select case
            when o.kind = 'hold' then jsonb_build_object('rule', 'hold', 'hold_id', o.id)
            else jsonb_build_object('rule', 'session', 'session_id', o.id)
        end
        from (
            -- Look-ups as in client_conflict(). A stand-in has the id of its session.
            select c.id, c.kind, c.period
            from bookingdb.calendar as c
            where c.client_id = p_client_id
                and c.period && p_period
                and c.kind in ('session', 'hold')
                and (c.expires_at is null or c.expires_at > clock_timestamp())
                and (p_therapist_id is null or (c.kind = 'hold' and c.therapist_id = p_therapist_id))
                and c.mirror_of is null
                and c.id is distinct from p_except_id
            union all
            select a.id, a.kind, a.period
            from bookingdb.absences as a
            where a.client_id = p_client_id
                and a.period && p_period
                and p_therapist_id is null
                and a.id is distinct from p_except_id
            union all
            select c.id, c.kind, c.period
            from bookingdb.calendar as c
            where c.therapist_id = p_client_id
                and c.blocked && p_period
                and c.kind in ('session', 'hold')
                and c.mirror_of is null
                and (c.expires_at is null or c.expires_at > clock_timestamp())
                and p_therapist_id is null
                and c.id is distinct from p_except_id
        ) as o
        order by lower(o.period), o.id
        limit 1
    ), '{}');
end;
$function$;

comment on function bookingdb.own_time_context(uuid, uuid, tstzrange, uuid) is
'Returns what DETAIL says of a client''s own session or hold in the way (with p_therapist_id: of their hold with that therapist), to those who may act for the client.';
