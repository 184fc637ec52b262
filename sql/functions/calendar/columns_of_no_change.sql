create or replace function bookingdb.columns_of_no_change()
returns text[]
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return array['updated_at', 'revision', 'video_url', 'video_status'];
end;
$function$;

comment on function bookingdb.columns_of_no_change() is
'Returns the columns of public.sessions whose writing is no change of the session: no audit row, no event, no revision.';
