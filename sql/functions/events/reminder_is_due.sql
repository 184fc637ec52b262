create or replace function bookingdb.reminder_is_due(p_delivery bookingdb.deliveries)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_start_time timestamptz;
    v_rule bookingdb.reminder_rules;
    v_contact bookingdb.contacts;
    v_quiet_hours tstzrange;
    v_due_at timestamptz;
begin
    -- 1. The session is as it was planned, and the rule is still there.
    select r.*
    into v_rule
    from bookingdb.reminder_rules as r
    inner join bookingdb.destinations as d
        on d.id = p_delivery.destination_id and bookingdb.reminds_by(d, r.channel)
    where r.name = p_delivery.data ->> 'rule' and p_delivery.data ->> 'recipient' = any (r.audience);
    if not found then
        return false;
    end if;
    select s.start_time
    into v_start_time
    from public.sessions as s
    where s.id = (p_delivery.data ->> 'session_id')::uuid
        and s.start_time > clock_timestamp()
        and s.status in ('scheduled', 'confirmed')
        and p_delivery.recipient_id = case p_delivery.data ->> 'recipient'
            when 'client' then s.user_id
            else s.therapist_id
        end
        and p_delivery.subject_id = bookingdb.reminder_subject(s.id, v_rule.name, s.start_time);
    if not found then
        return false;
    end if;

    -- 2. The person agrees. The channel webhook is the application itself, and needs nobody's consent.
    select c.*
    into v_contact
    from bookingdb.contacts as c
    where c.person_id = p_delivery.recipient_id;
    if not coalesce((v_contact.consents ->> v_rule.channel)::boolean, v_rule.channel in ('email', 'webhook')) then
        return false;
    end if;

    -- 3. Quiet hours count anew: they, or the rule, may have changed, and the worker may be late. A reminder that was
    -- planned for their begin is sent within a quarter of an hour; any other waits for their end, if that is before the
    -- session.
    if not v_rule.heeds_quiet_hours or v_contact.quiet_from is null then
        return true;
    end if;
    v_quiet_hours := bookingdb.quiet_hours_around(
        clock_timestamp(), coalesce(v_contact.time_zone, bookingdb.time_zone_of(v_contact.person_id)),
        v_contact.quiet_from, v_contact.quiet_until
    );
    if v_quiet_hours is null
        or clock_timestamp() < lower(v_quiet_hours) + interval '15 minutes'
        or upper(v_quiet_hours) >= v_start_time then
        return true;
    end if;
    update bookingdb.deliveries as d
    set due_at = upper(v_quiet_hours),
        attempts = d.attempts - 1,
        token = null,
        claimed_at = null
    where d.id = p_delivery.id;
    return null;
end;
$function$;

comment on function bookingdb.reminder_is_due(bookingdb.deliveries) is
'Says of a reminder that is due whether it is still wanted. NULL: it was given back, until the person''s quiet hours are over. Caller holds: its claim.';
