create or replace function bookingdb.get_weekly_hours(p_therapist_id uuid)
returns setof bookingdb.weekly_window
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
    perform bookingdb.require_therapist(p_therapist_id);

    return query
    select w.weekday, w.start_time, w.end_time, w.valid_from, w.valid_to
    from bookingdb.weekly_hours as w
    where w.therapist_id = p_therapist_id
    order by w.weekday, w.start_time, w.valid_from nulls first, w.id;
end;
$function$;

comment on function bookingdb.get_weekly_hours(uuid) is
'A therapist''s weekly hours, in order. Twin of the public function of this name. Raises not_authenticated, invalid_therapist_id, therapist_not_found.';
