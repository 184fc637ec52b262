create or replace function bookingdb.event_recipients(p_kind text, p_settings jsonb, p_data jsonb)
returns setof uuid
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    c_nobody constant uuid := '00000000-0000-0000-0000-000000000000';
begin
    if p_kind <> 'mail' then
        return next c_nobody;
        return;
    end if;
    return query
    select distinct bookingdb.uuid_of(p_data ->> k.key)
    from (
        values
        ('user_id', 'client'), ('old_user_id', 'client'),
        ('therapist_id', 'therapist'), ('old_therapist_id', 'therapist')
    ) as k (key, audience)
    where bookingdb.uuid_of(p_data ->> k.key) is not null
        and coalesce(p_settings -> 'audience', '["client", "therapist"]') ? k.audience;
end;
$function$;

comment on function bookingdb.event_recipients(text, jsonb, jsonb) is
'Returns to whom an event goes, one delivery each: for mail its people, also former ones; else the zero id.';
