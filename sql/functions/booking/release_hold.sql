-- Public.
create or replace function bookingdb.release_hold(p_hold_id uuid)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_hold bookingdb.holds;
begin
    v_hold := bookingdb.lock_hold(p_hold_id);
    if exists (select from public.sessions as s where s.id = p_hold_id) then
        perform bookingdb.raise_error('invalid_transition', jsonb_build_object('session_id', p_hold_id));
    end if;

    delete from bookingdb.calendar as c
    where c.id = p_hold_id and c.kind = 'hold';
    update bookingdb.holds as h
    set released_at = clock_timestamp()
    where h.id = p_hold_id and h.released_at is null and h.expires_at > clock_timestamp();
    if found then
        perform bookingdb.write_hold_event('hold.released', p_hold_id);
    end if;
end;
$function$;

comment on function bookingdb.release_hold(uuid) is
'Gives a hold up; one that was released before, or has expired, stays so. One that became a session is refused: cancel the session. For the user whose hold it is and for trusted callers. Raises: invalid_transition.';
