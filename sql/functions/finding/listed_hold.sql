create or replace function bookingdb.listed_hold(p_hold bookingdb.holds)
returns bookingdb.listed_hold
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_listed bookingdb.listed_hold;
begin
    v_listed := row(
        p_hold.id, p_hold.user_id, p_hold.therapist_id, p_hold.start_time, p_hold.end_time, p_hold.time_zone,
        p_hold.expires_at, p_hold.scheduled_date, p_hold.scheduled_time, p_hold.duration_minutes,
        bookingdb.hold_state(p_hold),
        bookingdb.person_name(p_hold.user_id, false),
        bookingdb.person_name(p_hold.therapist_id, true)
    );
    return v_listed;
end;
$function$;

comment on function bookingdb.listed_hold(bookingdb.holds) is
'Returns a hold in the form of lists, with its state and the names of both people. Caller holds: an authorisation for it.';
