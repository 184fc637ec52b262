create or replace function bookingdb.one_credit_type()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    if lower(btrim(new.user_type)) = any (tg_argv) then
        new.user_type := 'user';
    end if;
    return new;
end;
$function$;

comment on function bookingdb.one_credit_type() is
'Trigger (BEFORE, per row) on user_credits of an adopted application with several words for a client: lots of the types in its arguments, in any writing, become lots of type user, which can be spent.';
