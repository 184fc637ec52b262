create or replace function bookingdb.session_changes(p_old public.sessions, p_new public.sessions)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
declare
    v_old constant jsonb := to_jsonb(p_old);
begin
    -- Each column is looked up: a join of both rows would cost a cancellation 3 % of its instructions.
    return (
        select coalesce(
            jsonb_object_agg(
                n.key,
                -- Notes are private, and words must stay where they can be erased: only the fact is recorded. The
                -- reason of a cancellation is in the log once, whatever becomes of it.
                case when n.key in ('description', 'change_reason') then jsonb '{}'
                    when n.key = 'cancellation_reason' and v_old -> n.key <> 'null' then jsonb '{}'
                    else jsonb_build_object('old', v_old -> n.key, 'new', n.value) end
            ),
            jsonb '{}'
        )
        from jsonb_each(to_jsonb(p_new)) as n
        where n.value <> (v_old -> n.key) and n.key <> 'updated_at'
    );
end;
$function$;

comment on function bookingdb.session_changes(public.sessions, public.sessions) is
'Returns what an UPDATE changed, for the audit log: {"column": {"old": ..., "new": ...}}, timestamps in UTC. Without the values of description and change_reason.';
