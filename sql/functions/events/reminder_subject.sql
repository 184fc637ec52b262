-- Inlined.
create or replace function bookingdb.reminder_subject(p_session_id uuid, p_rule text, p_start_time timestamptz)
returns uuid
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return md5(p_session_id || p_rule || extract(epoch from p_start_time))::uuid;
end;
$function$;

comment on function bookingdb.reminder_subject(uuid, text, timestamptz) is
'Returns the subject of a reminder: a session that moves has others, and the same ones when it moves back.';
