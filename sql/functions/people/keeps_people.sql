create or replace function bookingdb.keeps_people(p_table text)
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return exists (
        select from pg_trigger as t
        where t.tgrelid = to_regclass(format('public.%I', p_table))
            and t.tgfoid = 'bookingdb.people_changed'::regproc
    );
end;
$function$;

comment on function bookingdb.keeps_people(text) is
'Says whether the adapter reads people from this table of the schema public: its trigger is there.';
