create or replace function bookingdb.check_audit_log()
returns table (invariant integer, subject_id uuid, problem text, context jsonb)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_indexscan = off
set enable_indexonlyscan = off
set enable_bitmapscan = off
set enable_nestloop = off
as $function$
begin
    -- The audit rows of a session chain without a gap from its creation, or its last adoption, to its current
    -- status. Earlier rows are the application's own.
    return query
    select 5, coalesce(s.id, a.session_id),
        case when a.session_id is null then 'session has no audit row' else 'audit rows do not chain' end,
        jsonb_build_object('audit_id', a.id, 'old_status', a.old_status, 'new_status', a.new_status)
    from (
        select b.id, b.session_id, b.old_status, b.new_status,
            lag(b.new_status) over w as previous_status,
            lead(b.entry) over w is null as is_last
        from (
            select l.id, l.session_id, l.old_status, l.new_status, l.entry,
                coalesce(
                    max(l.entry) filter (where l.action = 'adopted') over (partition by l.session_id),
                    -- A session that was gone by the adoption has only rows of the application.
                    min(l.entry) filter (where l.action = 'adopted') over ()
                ) as adopted
            from public.booking_audit_log as l
            where l.session_id is not null
        ) as b
        where b.adopted is null or b.entry >= b.adopted
        window w as (partition by b.session_id order by b.entry)
    ) as a
    full join public.sessions as s on s.id = a.session_id
    where a.session_id is null
        or a.old_status is distinct from a.previous_status
        or (a.is_last and a.new_status is distinct from s.status);
end;
$function$;

comment on function bookingdb.check_audit_log() is
'Invariant 5: returns the sessions whose audit rows do not chain to their status.';
