create or replace function bookingdb.before_quiet_hours(p_moment timestamptz, p_contact bookingdb.contacts)
returns timestamptz
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return coalesce(lower(bookingdb.quiet_hours_around(
        p_moment,
        coalesce(p_contact.time_zone, bookingdb.time_zone_of(p_contact.person_id)),
        p_contact.quiet_from,
        p_contact.quiet_until
    )), p_moment);
end;
$function$;

comment on function bookingdb.before_quiet_hours(timestamptz, bookingdb.contacts) is
'Returns a moment, or the begin of the person''s quiet hours that it is in: nobody is reminded late.';
