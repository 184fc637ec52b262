create or replace function bookingdb.set_policy(p_settings jsonb, p_therapist_id uuid)
returns bookingdb.effective_policy
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_name text;
    v_value text;
    v_row bookingdb.policies;
    -- Texts, because intervals are shown as the connection's IntervalStyle says.
    v_minimum text;
    v_maximum text;
    v_interval interval;
    v_lock_timeout text;
begin
    perform bookingdb.authorise_trusted();
    if p_settings is null or jsonb_typeof(p_settings) <> 'object' then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object('parameter', 'p_settings'));
    end if;

    -- One change of policies at a time: minimum and maximum are looked at together.
    perform bookingdb.lock_people(array['00000000-0000-0000-0000-000000000000', p_therapist_id]::uuid[]);
    if p_therapist_id is not null then
        if not exists (select from bookingdb.therapists as t where t.id = p_therapist_id) then
            perform bookingdb.raise_error('therapist_not_found', jsonb_build_object('therapist_id', p_therapist_id));
        end if;
    end if;
    -- Who registers a therapist writes its zone without these locks.
    begin
        v_lock_timeout := bookingdb.limit_wait();
        if p_therapist_id is not null then
            insert into bookingdb.policies (therapist_id)
            values (p_therapist_id)
            on conflict on constraint policies_therapist_id_key do nothing;
        end if;
        select p.*
        into v_row
        from bookingdb.policies as p
        where p.therapist_id is not distinct from p_therapist_id
        for update;
        perform set_config('lock_timeout', v_lock_timeout, true);
    exception
        when lock_not_available then
            perform bookingdb.raise_error('busy');
    end;

    for v_name, v_value in select s.key, s.value from jsonb_each_text(p_settings) as s loop
        -- null means: as the default says. The default itself has all of them.
        if v_value is null and p_therapist_id is null then
            perform bookingdb.raise_error('invalid_parameter', jsonb_build_object('parameter', v_name));
        end if;
        case v_name
            when 'time_zone' then
                perform bookingdb.resolve_time_zone(v_value, p_therapist_id);
                v_row.time_zone := v_value;
            when 'minimum_duration_minutes', 'maximum_duration_minutes' then
                if v_value !~ '^[0-9]{1,3}$' or v_value::integer not between 15 and 180 then
                    perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
                        'parameter', v_name, 'minimum', 15, 'maximum', 180
                    ));
                end if;
                if v_name = 'minimum_duration_minutes' then
                    v_row.minimum_duration_minutes := v_value::integer;
                else
                    v_row.maximum_duration_minutes := v_value::integer;
                end if;
            when 'cancellation_window', 'refund_grace', 'hold_lifetime' then
                begin
                    v_interval := v_value::interval;
                exception
                    when data_exception then
                        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object('parameter', v_name));
                end;
                v_minimum := case v_name
                    when 'cancellation_window' then '0' when 'refund_grace' then '1 day' else '10 seconds'
                end;
                v_maximum := case v_name
                    when 'cancellation_window' then '365 days' when 'refund_grace' then '3650 days' else '1 hour'
                end;
                if v_interval not between v_minimum::interval and v_maximum::interval then
                    perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
                        'parameter', v_name, 'minimum', v_minimum, 'maximum', v_maximum
                    ));
                end if;
                case v_name
                    when 'cancellation_window' then v_row.cancellation_window := v_interval;
                    when 'refund_grace' then v_row.refund_grace := v_interval;
                    else v_row.hold_lifetime := v_interval;
                end case;
            else
                perform bookingdb.raise_error('invalid_parameter', jsonb_build_object('parameter', 'p_settings'));
        end case;
    end loop;

    update bookingdb.policies as p
    set time_zone = v_row.time_zone,
        minimum_duration_minutes = v_row.minimum_duration_minutes,
        maximum_duration_minutes = v_row.maximum_duration_minutes,
        cancellation_window = v_row.cancellation_window,
        refund_grace = v_row.refund_grace,
        hold_lifetime = v_row.hold_lifetime
    where p.id = v_row.id;

    -- No therapist may end up with a minimum above the maximum, half of it from the default.
    if exists (
        select from bookingdb.policies as o
        cross join lateral bookingdb.policy_of(o.therapist_id) as e
        where e.minimum_duration_minutes > e.maximum_duration_minutes
    ) then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'minimum_duration_minutes'
        ));
    end if;
    return bookingdb.policy_of(p_therapist_id);
end;
$function$;

comment on function bookingdb.set_policy(jsonb, uuid) is
'Changes the settings named in p_settings, for a therapist or (null) by default; a therapist''s setting that is null is the default''s. What was booked keeps its deal. Trusted callers only. Twin of the public function of this name. Raises not_authenticated, not_allowed, invalid_parameter, busy, therapist_not_found, invalid_time_zone.';
