create or replace function bookingdb.client_conflict(p_client_id uuid, p_period tstzrange, p_except_id uuid)
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- The stand-in for a session of an adopted database is the only absence that has a client.
    return exists (
        select from bookingdb.calendar as c
        where c.client_id = p_client_id
            and c.period && p_period
            and c.kind in ('session', 'hold')
            and (c.expires_at is null or c.expires_at > clock_timestamp())
            and c.id is distinct from p_except_id
    ) or exists (
        select from bookingdb.absences as a
        where a.client_id = p_client_id
            and a.period && p_period
            and a.id is distinct from p_except_id
    );
end;
$function$;

comment on function bookingdb.client_conflict(uuid, tstzrange, uuid) is
'Says whether a session of the client (one of overlapping_sessions, too) or a live hold overlaps this time, p_except_id left out. Caller holds: the client''s lock.';
