create or replace function bookingdb.mirror_all_times()
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_row record;
    v_mirrored integer := 0;
    v_sqlstate text;
    v_detail text;
begin
    for v_row in
        select u.id, u.therapist_id, u.client_id
        from bookingdb.unmirrored_times() as u
        order by lower(u.period), u.id
    loop
        perform bookingdb.lock_people(array[v_row.therapist_id, v_row.client_id]);
        begin
            perform bookingdb.mirror_time(v_row.id, v_row.therapist_id, v_row.client_id);
            v_mirrored := v_mirrored + 1;
        exception
            when others then
                get stacked diagnostics v_sqlstate = returned_sqlstate, v_detail = pg_exception_detail;
                -- Somebody is at two places already: check_overlaps() reports them.
                if not starts_with(v_sqlstate, 'PT') or v_detail like '%"busy"%' then
                    raise;
                end if;
        end;
    end loop;
    return v_mirrored;
end;
$function$;

comment on function bookingdb.mirror_all_times() is
'Keeps the times of all people who are therapist and client in both parts, but for what overlaps already; returns how many sessions and holds. For installations and adoptions.';
