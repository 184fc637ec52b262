create or replace function bookingdb.plan_reminders_of(p_person_id uuid)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    perform bookingdb.plan_sessions(
        array(
            select s.id
            from public.sessions as s
            where s.user_id = p_person_id and s.start_time > clock_timestamp()
            union
            select s.id
            from public.sessions as s
            where s.therapist_id = p_person_id and s.start_time > clock_timestamp()
        ),
        clock_timestamp(),
        p_person_id => p_person_id
    );
end;
$function$;

comment on function bookingdb.plan_reminders_of(uuid) is
'Moves the reminders of a person whose quiet hours or time zone changed. Where the new moment is past, the old one stays. Caller holds: relay_lock().';
