create or replace function bookingdb.require_duration(p_minutes integer, p_policy bookingdb.effective_policy)
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    if p_minutes is null
        or p_minutes not between p_policy.minimum_duration_minutes and p_policy.maximum_duration_minutes then
        perform bookingdb.raise_error('invalid_duration', jsonb_build_object(
            'minimum', p_policy.minimum_duration_minutes, 'maximum', p_policy.maximum_duration_minutes
        ));
    end if;
end;
$function$;

comment on function bookingdb.require_duration(integer, bookingdb.effective_policy) is
'Refuses minutes that the therapist''s policy does not allow (never less than 15 or more than 180). Raises: invalid_duration.';
