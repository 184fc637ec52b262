-- Public.
create or replace function bookingdb.set_destination(
    p_name text,
    p_kind text default null,
    p_events text[] default null,
    p_settings jsonb default null,
    p_secrets jsonb default null,
    p_is_enabled boolean default null
)
returns bookingdb.listed_destination
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_destination bookingdb.destinations;
    v_before bookingdb.destinations;
begin
    perform bookingdb.authorise_trusted();
    if (p_name ~ '^[a-z0-9][a-z0-9_-]{0,62}$') is not true then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_name', 'format', 'small letters, digits, - and _'
        ));
    end if;
    -- One at a time: no event is relayed to a destination that is half written.
    perform pg_advisory_xact_lock(bookingdb.relay_lock());

    select d.* into v_before from bookingdb.destinations as d where d.name = p_name;
    v_destination := v_before;
    if v_before.id is null then
        if p_kind is null then
            perform bookingdb.raise_error('destination_not_found', jsonb_build_object('destination', left(p_name, 63)));
        end if;
        v_destination.id := gen_random_uuid();
        v_destination.name := p_name;
        v_destination.kind := p_kind;
        v_destination.starts_at := clock_timestamp();
        v_destination.created_at := v_destination.starts_at;
        v_destination.state := '{}';
    elsif p_kind <> v_before.kind then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_kind', 'reason', 'fixed', 'allowed', v_before.kind
        ));
    end if;
    v_destination.events := coalesce(p_events, v_before.events, bookingdb.default_events(v_destination.kind));
    v_destination.settings := coalesce(p_settings, v_before.settings, '{}');
    v_destination.secrets := coalesce(p_secrets, v_before.secrets, '{}');
    v_destination.is_enabled := coalesce(p_is_enabled, v_before.is_enabled, true);
    if v_destination.is_enabled then
        v_destination.disabled_reason := null;
    elsif p_is_enabled is not null then
        v_destination.disabled_reason := 'by hand';
    end if;
    perform bookingdb.require_destination_terms(v_destination);

    insert into bookingdb.destinations as d (
        id, name, kind, events, settings, secrets, state, is_enabled, disabled_reason, starts_at, created_at
    )
    values (
        v_destination.id, v_destination.name, v_destination.kind, v_destination.events, v_destination.settings,
        v_destination.secrets, v_destination.state, v_destination.is_enabled, v_destination.disabled_reason,
        v_destination.starts_at, v_destination.created_at
    )
    on conflict (id) do update
    set events = excluded.events,
        settings = excluded.settings,
        secrets = excluded.secrets,
        is_enabled = excluded.is_enabled,
        disabled_reason = excluded.disabled_reason,
        updated_at = clock_timestamp();

    if v_destination.kind = 'calendar' then
        -- It is fetched at once, and from then on again and again.
        insert into bookingdb.deliveries (destination_id, type, subject_id, data, is_next)
        values (
            v_destination.id, 'calendar.fetch', v_destination.id,
            jsonb_build_object('therapist_id', v_destination.settings -> 'therapist_id'), true
        )
        on conflict (subject_id, destination_id, recipient_id) where event_id is null do update
        set status = 'pending', is_next = true, finished_at = null, attempts = 0, due_at = clock_timestamp(),
            token = null, data = excluded.data;
    end if;
    if v_destination.is_enabled and bookingdb.event_is_wanted(v_destination.events, 'session.reminder') then
        perform bookingdb.plan_all_reminders();
    end if;
    return bookingdb.describe_destination(v_destination);
end;
$function$;

comment on function bookingdb.set_destination(text, text, text[], jsonb, jsonb, boolean) is
'Creates the destination p_name, or changes what is given of it (NULL keeps what is). p_kind is webhook, mail, daily, calendar, python, or a word of your own worker; it stays. p_events are types of events, session.* and the like, or *; NULL takes those of the kind. p_secrets are handed out by claim_deliveries() alone; instead of a value, settings may name an environment variable of the worker (url_env, signing_env). A destination is told of events from its creation on; one that is disabled gets no new ones, and keeps those that it has. For trusted callers. Raises: invalid_parameter, destination_not_found.';
