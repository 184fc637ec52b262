create or replace function public.set_therapist_active(p_therapist_id uuid, p_active boolean)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    perform bookingdb.set_therapist_active(p_therapist_id, p_active);
end;
$function$;

comment on function public.set_therapist_active(uuid, boolean) is
'Opens (true) or closes (false) a therapist for booking. Sessions that are booked stay. For trusted callers. Errors: docs/errors.md.';
