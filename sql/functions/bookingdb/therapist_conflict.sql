create or replace function bookingdb.therapist_conflict(p_therapist_id uuid, p_blocked tstzrange, p_except_id uuid)
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- Two look-ups, because two indexes cover the kinds: the exclusion constraint's and that of the absences.
    return exists (
        select from bookingdb.calendar as c
        where c.therapist_id = p_therapist_id
            and c.blocked && p_blocked
            and c.kind in ('session', 'hold')
            and (c.kind = 'session' or c.expires_at > clock_timestamp())
            and c.id is distinct from p_except_id
    ) or exists (
        select from bookingdb.calendar as c
        where c.therapist_id = p_therapist_id
            and c.blocked && p_blocked
            and c.kind in ('time_off', 'external')
    );
end;
$function$;

comment on function bookingdb.therapist_conflict(uuid, tstzrange, uuid) is
'Whether a therapist is busy: a session, a live hold, time off or an external appointment overlaps this time, other than the calendar row with the given id. The one definition that the check, the booking and the triggers share.';
