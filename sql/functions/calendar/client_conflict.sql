create or replace function bookingdb.client_conflict(p_client_id uuid, p_period tstzrange, p_except_id uuid)
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- Two look-ups, because two indexes cover them: what stands in for a session of an adopted database is an external
    -- appointment, the only kind of these that has a client.
    return exists (
        select from bookingdb.calendar as c
        where c.client_id = p_client_id
            and c.period && p_period
            and c.kind in ('session', 'hold')
            and (c.kind = 'session' or c.expires_at > clock_timestamp())
            and c.id is distinct from p_except_id
    ) or exists (
        select from bookingdb.calendar as c
        where c.client_id = p_client_id
            and c.external_source = 'adoption'
            and c.period && p_period
            and c.id is distinct from p_except_id
    );
end;
$function$;

comment on function bookingdb.client_conflict(uuid, tstzrange, uuid) is
'Whether a client has a session, one of overlapping_sessions included, or a live hold that overlaps this time, other than the calendar row with the given id.';
