create or replace function bookingdb.is_own_entry(p_therapist_id uuid, p_uid text)
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    -- The form is that of the UIDs that `bookingdb ics` writes. Calendars may change the case.
    v_id constant uuid := bookingdb.uuid_of(substring(lower(p_uid) from '^(.*)@bookingdb$'));
begin
    if v_id is null then
        return false;
    end if;
    return exists (
        select from public.sessions as s where s.id = v_id and s.therapist_id = p_therapist_id
    ) or exists (
        -- Their calendar may not know yet that the session left.
        select from bookingdb.former_therapists as f
        where f.therapist_id = p_therapist_id and f.session_id = v_id
    ) or exists (
        select from bookingdb.absences as a
        where a.id = v_id and a.kind = 'time_off' and a.therapist_id = p_therapist_id
    );
end;
$function$;

comment on function bookingdb.is_own_entry(uuid, text) is
'Says whether a UID of another calendar is that of one of the therapist''s own sessions or time off, which was exported and came back.';
