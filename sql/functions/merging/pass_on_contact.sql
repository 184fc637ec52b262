create or replace function bookingdb.pass_on_contact(p_from_id uuid, p_into_id uuid)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- What the other client said themselves wins, and so does the address that the application has of them.
    insert into bookingdb.contacts as o (
        person_id, email, phone, time_zone, language, quiet_from, quiet_until, consents
    )
    select
        p_into_id,
        case
            when not exists (
                select from bookingdb.people as p
                where p.id = p_into_id and p.email <> '' and p.email !~ '@(merged|erased)\.invalid$'
            ) then c.email
        end as email,
        c.phone,
        c.time_zone,
        c.language,
        c.quiet_from,
        c.quiet_until,
        c.consents
    from bookingdb.contacts as c
    where c.person_id = p_from_id
    on conflict on constraint contacts_pkey do update
    set email = coalesce(o.email, excluded.email),
        phone = coalesce(o.phone, excluded.phone),
        time_zone = coalesce(o.time_zone, excluded.time_zone),
        language = coalesce(o.language, excluded.language),
        quiet_from = coalesce(o.quiet_from, excluded.quiet_from),
        quiet_until = case when o.quiet_from is null then excluded.quiet_until else o.quiet_until end,
        consents = excluded.consents || o.consents,
        updated_at = clock_timestamp();
    delete from bookingdb.contacts as c
    where c.person_id = p_from_id;

    -- An address that the first client gave to their calendar goes on, unless the other one has their own.
    update bookingdb.calendar_feeds as f
    set person_id = p_into_id
    where f.person_id = p_from_id
        and not exists (select from bookingdb.calendar_feeds as o where o.person_id = p_into_id);
    delete from bookingdb.calendar_feeds as f
    where f.person_id = p_from_id;
end;
$function$;

comment on function bookingdb.pass_on_contact(uuid, uuid) is
'Gives a client''s addresses, quiet hours, consents and calendar address to another client, as far as they have none. Caller holds: the locks of both people.';
