create or replace function bookingdb.sessions_within(p_therapist_id uuid, p_periods tstzrange[])
returns uuid[]
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return array(
        select c.id
        from bookingdb.calendar as c
        where c.therapist_id = p_therapist_id
            and c.kind = 'session'
            and c.blocked && any (p_periods)
            and c.period && any (p_periods)
        order by lower(c.period), c.id
    );
end;
$function$;

comment on function bookingdb.sessions_within(uuid, tstzrange[]) is
'A therapist''s sessions that overlap one of these periods, in order.';
