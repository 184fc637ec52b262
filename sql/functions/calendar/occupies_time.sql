create or replace function bookingdb.occupies_time(p_status text)
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return p_status in ('pending_approval', 'scheduled', 'confirmed', 'in_progress')
        or (
            p_status not in ('completed', 'cancelled', 'no_show')
            and exists (select from bookingdb.active_statuses as a where a.status = p_status)
        );
end;
$function$;

comment on function bookingdb.occupies_time(text) is
'Says whether a session in this status takes place, and so has a calendar row: bookingdb''s statuses, and an adopted application''s active_statuses. Never true for NULL.';
