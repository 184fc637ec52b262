create or replace function public.release_hold(p_hold_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    perform bookingdb.release_hold(p_hold_id);
end;
$function$;

comment on function public.release_hold(uuid) is
'Gives a hold up; one that was given up before, or has expired, stays so. For the user whose it is and for trusted callers. Errors: docs/errors.md.';
