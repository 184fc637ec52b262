create or replace function public.get_policy(p_therapist_id uuid default null)
returns table (
    therapist_id uuid,
    time_zone text,
    minimum_duration_minutes integer,
    maximum_duration_minutes integer,
    cancellation_window interval,
    refund_grace interval,
    hold_lifetime interval
)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select p.therapist_id, p.time_zone, p.minimum_duration_minutes, p.maximum_duration_minutes,
        p.cancellation_window, p.refund_grace, p.hold_lifetime
    from bookingdb.get_policy(p_therapist_id) as p;
end;
$function$;

comment on function public.get_policy(uuid) is
'What holds for a therapist, or (null) by default: time zone, durations, cancellation window, grace, lifetime of holds. For every logged-in user. Errors: docs/errors.md.';
