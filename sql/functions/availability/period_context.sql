create or replace function bookingdb.period_context(p_therapist_id uuid, p_period tstzrange)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return jsonb_build_object(
        'therapist_id', p_therapist_id,
        'start_time', bookingdb.iso_utc(lower(p_period)),
        'end_time', bookingdb.iso_utc(upper(p_period))
    );
end;
$function$;

comment on function bookingdb.period_context(uuid, tstzrange) is
'Returns what DETAIL says of a time that is taken: therapist, start and end.';
