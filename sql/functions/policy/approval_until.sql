create or replace function bookingdb.approval_until(p_therapist_id uuid)
returns timestamptz
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_lifetime constant interval := (bookingdb.policy_of(p_therapist_id)).approval_lifetime;
begin
    -- The longest lifetime that there is means that no session lapses.
    if v_lifetime < interval '3650 days' then
        return bookingdb.add_elapsed(clock_timestamp(), v_lifetime);
    end if;
    return null;
end;
$function$;

comment on function bookingdb.approval_until(uuid) is
'Returns until when a session that begins to wait for a therapist''s approval now keeps its time. NULL: without an end.';
