create or replace function bookingdb.hold_state(p_hold bookingdb.holds)
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return case
        when exists (select from public.sessions as s where s.id = p_hold.id) then 'booked'
        when p_hold.released_at is not null then 'released'
        when exists (
            select
            from bookingdb.calendar as c
            where c.id = p_hold.id and c.kind = 'hold' and c.expires_at > clock_timestamp()
        ) then 'held'
        else 'expired'
    end;
end;
$function$;

comment on function bookingdb.hold_state(bookingdb.holds) is
'Says what became of a hold: held, booked, released or expired.';
