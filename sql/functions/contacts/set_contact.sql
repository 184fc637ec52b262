-- Public.
create or replace function bookingdb.set_contact(p_user_id uuid, p_changes jsonb)
returns bookingdb.contact
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    c_names constant text[] := array[
        'email', 'phone', 'time_zone', 'language', 'quiet_from', 'quiet_until', 'consents'
    ];
    v_old bookingdb.contacts;
    v_new bookingdb.contacts;
    v_name text;
    v_lock_timeout text;
begin
    perform bookingdb.authorise(p_user_id);
    -- 1. The changes, each by itself.
    if p_changes is null or jsonb_typeof(p_changes) <> 'object' then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_changes', 'reason', 'no_object'
        ));
    end if;
    for v_name in select k.name from jsonb_object_keys(p_changes) as k (name) loop
        if v_name <> all (c_names) then
            perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
                'parameter', 'p_changes', 'reason', 'unknown', 'choices', c_names
            ));
        end if;
    end loop;
    if not exists (select from bookingdb.people as p where p.id = p_user_id) then
        perform bookingdb.raise_error('user_not_found', jsonb_build_object('user_id', p_user_id));
    end if;

    -- 2. The person's row keeps an erasure and a deletion away, and a second change.
    begin
        v_lock_timeout := bookingdb.limit_wait();
        perform bookingdb.lock_person_rows(array[p_user_id]);
        perform bookingdb.refuse_merged_person(p_user_id);
        insert into bookingdb.contacts (person_id)
        values (p_user_id)
        on conflict on constraint contacts_pkey do nothing;
        select c.*
        into v_old
        from bookingdb.contacts as c
        where c.person_id = p_user_id
        for update;
        perform set_config('lock_timeout', v_lock_timeout, true);
    exception
        when lock_not_available then
            perform bookingdb.raise_error('busy');
    end;

    -- 3. The row as it is then, and the event.
    v_new := v_old;
    foreach v_name in array c_names loop
        continue when not p_changes ? v_name;
        if v_name = 'consents' then
            v_new.consents := case
                when p_changes -> 'consents' = 'null' then '{}'
                else bookingdb.agreed_channels(v_old.consents, p_changes -> 'consents')
            end;
        else
            v_new := jsonb_populate_record(v_new, jsonb_build_object(
                v_name, bookingdb.checked_contact(v_name, p_changes -> v_name)
            ));
        end if;
    end loop;
    if (v_new.quiet_from is null) <> (v_new.quiet_until is null) then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', case when v_new.quiet_from is null then 'quiet_from' else 'quiet_until' end,
            'reason', 'missing'
        ));
    end if;
    if v_new.quiet_from = v_new.quiet_until then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'quiet_until', 'reason', 'same_time'
        ));
    end if;
    if v_new is distinct from v_old then
        update bookingdb.contacts as c
        set email = v_new.email,
            phone = v_new.phone,
            time_zone = v_new.time_zone,
            language = v_new.language,
            quiet_from = v_new.quiet_from,
            quiet_until = v_new.quiet_until,
            consents = v_new.consents,
            updated_at = clock_timestamp()
        where c.person_id = p_user_id;
        -- Reminders follow. relay_events() sees to it: here they would hold up the relay until the commit.
        insert into bookingdb.outbox (event, subject_id, payload)
        values ('contact.changed', p_user_id, jsonb_build_object('person_id', p_user_id));
    end if;
    return bookingdb.shown_contact(p_user_id);
end;
$function$;

comment on function bookingdb.set_contact(uuid, jsonb) is
'Changes how a person wants to be reached. p_changes holds what changes, of email, phone (with the country''s number: +49...), time_zone (IANA), language (such as de or en-GB), quiet_from and quiet_until (local times HH:MM, both or none; they may cross midnight) and consents (channel to true or false); NULL takes a value away. Reminders to come follow. For the person themselves and for trusted callers. Raises: invalid_parameter, user_not_found, busy.';
