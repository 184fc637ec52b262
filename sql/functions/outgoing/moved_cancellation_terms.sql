create or replace function bookingdb.moved_cancellation_terms(
    p_policy bookingdb.effective_policy,
    p_free_until timestamptz,
    p_start timestamptz,
    p_new_start timestamptz
)
returns timestamptz
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_free_until constant timestamptz := coalesce(
        p_free_until, bookingdb.free_cancellation_until(p_policy, p_start)
    );
begin
    -- Compared in seconds, and ten years at most: a direct writer may have left the start out, or made the window
    -- endless.
    if abs(extract(epoch from v_free_until) - extract(epoch from p_start)) < 315576000 then
        return bookingdb.add_elapsed(p_new_start, v_free_until - p_start);
    end if;
    return bookingdb.free_cancellation_until(p_policy, p_new_start);
end;
$function$;

comment on function bookingdb.moved_cancellation_terms(
    bookingdb.effective_policy, timestamptz, timestamptz, timestamptz
) is
'What move_cancellation_terms() was in the version before, for calls that began before the upgrade. The next version drops it.';
