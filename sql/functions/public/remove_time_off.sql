create or replace function public.remove_time_off(p_time_off_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    perform bookingdb.remove_time_off(p_time_off_id);
end;
$function$;

comment on function public.remove_time_off(uuid) is
'Takes time off (the id that add_time_off() returned) back. For the therapist itself and for trusted callers. Errors: docs/errors.md.';
