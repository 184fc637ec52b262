create or replace function bookingdb.is_free(
    p_therapist_id uuid,
    p_period tstzrange,
    p_except_id uuid,
    p_with_hours boolean,
    p_with_limits boolean
)
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return exists (
        select from bookingdb.free_times(
            array[p_therapist_id], tstzrange(lower(p_period), lower(p_period), '[]'), upper(p_period) - lower(p_period),
            p_except_id, p_with_hours, p_with_limits
        ) as f
        where f.starts @> lower(p_period)
    );
end;
$function$;

comment on function bookingdb.is_free(uuid, tstzrange, uuid, boolean, boolean) is
'Whether a therapist is free for a session of this period (free_times).';
