create or replace function bookingdb.is_erased(p_people uuid[], p_kind text)
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return exists (
        select from bookingdb.erasures as e
        where e.person_id = any (p_people) and p_kind <> all (e.kept)
    );
end;
$function$;

comment on function bookingdb.is_erased(uuid[], text) is
'Says whether the erasure of one of these people is on record that does not keep this kind of their data.';
