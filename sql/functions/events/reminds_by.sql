create or replace function bookingdb.reminds_by(p_destination bookingdb.destinations, p_channel text)
returns boolean
language plpgsql
immutable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return p_destination.is_enabled
        and bookingdb.event_is_wanted(p_destination.events, 'session.reminder')
        and p_channel = case
            when p_destination.kind = 'mail' then 'email'
            else coalesce(p_destination.settings ->> 'channel', 'webhook')
        end;
end;
$function$;

comment on function bookingdb.reminds_by(bookingdb.destinations, text) is
'Says whether a destination takes the reminders of a channel: mail those by email, any other those of its setting channel (webhook).';
