create or replace function bookingdb.require_statuses(p_statuses text[])
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- An application that was adopted may have statuses of its own.
    if exists (
        select
        from unnest(p_statuses) as i (status)
        where i.status is null
            or not exists (
                select from unnest(bookingdb.transitions()) as t where i.status in (t.old_status, t.new_status)
            )
    ) and not exists (select from bookingdb.adoption as a where a.id > 0) then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_statuses', 'reason', 'unknown'
        ));
    end if;
end;
$function$;

comment on function bookingdb.require_statuses(text[]) is
'Refuses statuses that no session can have. Raises: invalid_parameter.';
