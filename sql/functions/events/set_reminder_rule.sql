-- Public.
create or replace function bookingdb.set_reminder_rule(
    p_name text,
    p_before interval,
    p_audience text[] default '{client}',
    p_channel text default 'email',
    p_heeds_quiet_hours boolean default true
)
returns bookingdb.reminder_rule
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_before interval;
    v_audience constant text[] := array(select distinct a.part from unnest(p_audience) as a (part) order by a.part);
begin
    perform bookingdb.authorise_trusted();
    if p_name is null or p_name !~ '^[a-z][a-z0-9_]{0,39}$' then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_name', 'reason', 'no_name'
        ));
    end if;
    if (p_before between interval '1 minute' and interval '2160 hours') is not true then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_before', 'minimum', '1 minute', 'maximum', '90 days'
        ));
    end if;
    if v_audience = '{}' or not v_audience <@ '{client,therapist}' then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_audience', 'choices', jsonb '["client", "therapist"]'
        ));
    end if;
    if p_channel is null or p_channel !~ '^[a-z][a-z0-9_]{0,29}$' then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_channel', 'reason', 'no_channel'
        ));
    end if;
    if p_heeds_quiet_hours is null then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_heeds_quiet_hours', 'reason', 'missing'
        ));
    end if;

    -- A day is 24 hours here, whatever the clocks do.
    v_before := make_interval(secs => extract(epoch from p_before)::double precision);
    -- A session that is booked meanwhile is relayed after the commit, and finds the rule.
    perform pg_advisory_xact_lock(bookingdb.relay_lock());
    insert into bookingdb.reminder_rules (name, before, audience, channel, heeds_quiet_hours)
    values (p_name, v_before, v_audience, p_channel, p_heeds_quiet_hours)
    on conflict on constraint reminder_rules_pkey do update
    set before = excluded.before,
        audience = excluded.audience,
        channel = excluded.channel,
        heeds_quiet_hours = excluded.heeds_quiet_hours,
        updated_at = clock_timestamp();
    perform bookingdb.plan_all_reminders(p_name);
    return row(p_name, v_before, v_audience, p_channel, p_heeds_quiet_hours)::bookingdb.reminder_rule;
end;
$function$;

comment on function bookingdb.set_reminder_rule(text, interval, text[], text, boolean) is
'Makes or changes a rule of reminders: who (p_audience: client, therapist) is told by which channel, how long before a session (p_before: 1 minute to 90 days of 24 hours). Sessions to come get their reminders at once; where a changed rule''s moment is past, the reminder that was planned stays. With p_heeds_quiet_hours a reminder that would come in a person''s quiet hours comes before them. For trusted callers. Raises: invalid_parameter.';
