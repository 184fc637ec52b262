-- Public.
create or replace function bookingdb.list_date_overrides(p_therapist_id uuid, p_from date, p_to date)
returns setof bookingdb.date_window
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
begin
    perform bookingdb.authorise_anyone();
    if p_therapist_id is null then
        perform bookingdb.raise_error('invalid_therapist_id');
    end if;
    if p_from is null or p_to is null then
        perform bookingdb.raise_error('invalid_date');
    end if;
    perform bookingdb.require_known_therapist(p_therapist_id);

    return query
    select o.override_date, o.start_time, o.end_time
    from bookingdb.date_overrides as o
    where o.therapist_id = p_therapist_id and o.override_date between p_from and p_to
    order by o.override_date, o.start_time, o.id;
end;
$function$;

comment on function bookingdb.list_date_overrides(uuid, date, date) is
'Lists the dates from p_from to p_to (both included) on which other hours than a therapist''s weekly ones are valid: a row per window, or one without times for a closed date. For every logged-in user and for trusted callers. Raises: invalid_therapist_id, invalid_date.';
