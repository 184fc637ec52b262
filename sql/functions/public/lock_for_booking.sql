create or replace function public.lock_for_booking(p_people uuid[])
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    perform bookingdb.lock_for_booking(p_people);
end;
$function$;

comment on function public.lock_for_booking(uuid[]) is
'Takes the locks of these therapists and clients (1 to 1000; 1 to 64 for a logged-in user), in the right order, until the transaction ends. First call of a transaction that books several times: it then cannot deadlock. For trusted callers; for a logged-in user with itself and therapists. Errors: docs/errors.md.';
