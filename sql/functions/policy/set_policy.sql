-- Public, without has_hours.
create or replace function bookingdb.set_policy(p_settings jsonb, p_therapist_id uuid default null)
returns bookingdb.effective_policy
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_policy bookingdb.effective_policy;
    v_is_wrong boolean;
    v_name text;
    v_value text;
    v_row bookingdb.policies;
    v_type text;
    v_minimum text;
    v_maximum text;
    v_choices text[];
    v_is_allowed boolean;
    v_lock_timeout text;
begin
    perform bookingdb.authorise_trusted();
    if p_settings is null or jsonb_typeof(p_settings) <> 'object' then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_settings', 'reason', 'no_object'
        ));
    end if;

    -- One policy changes at a time, because minimum and maximum are checked together.
    perform bookingdb.lock_people(array['00000000-0000-0000-0000-000000000000', p_therapist_id]::uuid[]);
    if p_therapist_id is not null then
        perform bookingdb.require_known_therapist(p_therapist_id);
    end if;
    -- A direct writer locks the row before the person.
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
        where p.therapist_id = p_therapist_id or (p.therapist_id is null and p_therapist_id is null)
        for update;
        perform set_config('lock_timeout', v_lock_timeout, true);
    exception
        when lock_not_available then
            perform bookingdb.raise_error('busy');
    end;

    for v_name, v_value in select s.key, s.value from jsonb_each_text(p_settings) as s loop
        -- NULL means the default's value. The default policy has no other to fall back on.
        if v_value is null and p_therapist_id is null then
            perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
                'parameter', v_name, 'reason', 'missing'
            ));
        end if;

        -- What each setting may be. Bounds are texts, because the connection's IntervalStyle changes how intervals are
        -- shown.
        select s.type, s.minimum, s.maximum, s.choices
        into v_type, v_minimum, v_maximum, v_choices
        from (
            values
            (:'name', :'type', :'minimum', :'maximum', :'choices'::text[]) -- for each setting
        ) as s (name, type, minimum, maximum, choices)
        where s.name = v_name;
        if not found then
            perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
                'parameter', 'p_settings', 'reason', 'unknown'
            ));
        end if;
        if v_type = 'time zone' then
            perform bookingdb.resolve_time_zone(v_value, null);
            continue;
        end if;
        begin
            v_is_allowed := case v_type
                when 'integer' then v_value ~ '^[0-9]{1,9}$'
                    and v_value::integer between v_minimum::integer and v_maximum::integer
                -- An interval needs its units: a bare 48 would be seconds.
                when 'interval' then (v_value ~ '[[:alpha:]:]' or v_value = '0')
                    and v_value::interval between v_minimum::interval and v_maximum::interval
                when 'choice' then v_value = any (v_choices)
                else v_value in ('true', 'false')
            end;
        exception
            when data_exception then
                v_is_allowed := false;
        end;
        -- NULL is allowed: the default's value holds.
        if not v_is_allowed then
            perform bookingdb.raise_error('invalid_parameter', jsonb_strip_nulls(jsonb_build_object(
                'parameter', v_name,
                'minimum', case v_type when 'integer' then to_jsonb(v_minimum::integer) else to_jsonb(v_minimum) end,
                'maximum', case v_type when 'integer' then to_jsonb(v_maximum::integer) else to_jsonb(v_maximum) end,
                'choices', case v_type when 'boolean' then jsonb '[true, false]' else to_jsonb(v_choices) end
            )));
        end if;
    end loop;

    -- Settings have the names of their columns; settings that are not named stay.
    v_row := jsonb_populate_record(v_row, p_settings);
    update bookingdb.policies as p
    set
        :name = v_row.:name -- for each setting
    where p.id = v_row.id;

    -- No therapist may get a minimum above the maximum, one of the two from the default: each change concerns the
    -- default policy, too.
    perform bookingdb.mark_rules_changed(array[null::uuid]);
    v_policy := bookingdb.policy_of(p_therapist_id);
    v_is_wrong := v_policy.minimum_duration_minutes > v_policy.maximum_duration_minutes;
    if p_therapist_id is null and not v_is_wrong then
        v_is_wrong := exists (
            select from bookingdb.policies as o
            cross join lateral bookingdb.policy_of(o.therapist_id) as e
            where e.minimum_duration_minutes > e.maximum_duration_minutes
        );
    end if;
    if v_is_wrong then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'minimum_duration_minutes', 'reason', 'above_maximum'
        ));
    end if;
    return v_policy;
end;
$function$;

comment on function bookingdb.set_policy(jsonb, uuid) is
'Changes settings of a therapist''s policy, or (NULL) of the default one: p_settings is an object of settings as get_policy() returns them, null for the default''s value. Booked sessions keep their cancellation terms. For trusted callers. Raises: invalid_parameter, busy.';
