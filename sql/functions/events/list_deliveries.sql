-- Public.
create or replace function bookingdb.list_deliveries(
    p_destination text default null,
    p_status text default null,
    p_subject_id uuid default null,
    p_limit integer default 100,
    p_before timestamptz default null
)
returns setof bookingdb.listed_delivery
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
begin
    perform bookingdb.authorise_trusted();
    perform bookingdb.require_limit(p_limit);
    perform bookingdb.require_delivery_status('p_status', p_status);
    if p_destination is not null then
        perform bookingdb.find_destination(p_destination);
    end if;

    -- Conditions that are not asked for are not there, so that each question has its index. With ties: deliveries that
    -- share a timestamp stay on one page.
    return query execute
        'select l.id, n.name, n.kind, l.type, l.subject_id, nullif(l.recipient_id, $6), l.status, l.attempts, '
        'l.occurred_at, l.created_at, case when l.status = ''pending'' then l.due_at end, l.finished_at, '
        'l.status_code, l.detail '
        'from bookingdb.destinations as n '
        'cross join lateral ('
        'select d.* from bookingdb.deliveries as d '
        'where d.destination_id = n.id and d.created_at < $1 '
        || case when p_status is not null then 'and d.status = $2 ' else '' end
        || case
            when p_subject_id is null then ''
            else 'and (d.subject_id = $3 or d.data ->> ''session_id'' = $3::text) '
        end
        || 'order by d.created_at desc fetch first $4 rows with ties) as l '
        || case when p_destination is not null then 'where n.name = $5 ' else '' end
        || 'order by l.created_at desc fetch first $4 rows with ties'
    using
        coalesce(p_before, 'infinity'), p_status, p_subject_id, p_limit, p_destination,
        '00000000-0000-0000-0000-000000000000'::uuid;
end;
$function$;

comment on function bookingdb.list_deliveries(text, text, uuid, integer, timestamptz) is
'Lists deliveries, the newest first: of a destination, of a status (pending, delivered, dead, dropped), about a session (its reminders and credits, too), hold, lot or person. At most p_limit (1 to 1000); for the next page give the last created_at as p_before. For trusted callers.';
