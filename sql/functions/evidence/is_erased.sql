create or replace function bookingdb.is_erased(p_people uuid[], p_kind text, p_at timestamptz)
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- An erasure takes all that is older, and the next one takes the rest. A row without a time, or from the future,
    -- goes by each person's last erasure.
    return exists (
        select from bookingdb.erasures as e
        where e.person_id = any (p_people)
            and p_kind <> all (e.kept)
            and case
                when p_at <= clock_timestamp() then p_at <= e.created_at
                else not exists (
                    select from bookingdb.erasures as l
                    where l.person_id = e.person_id and l.id > e.id and p_kind = any (l.kept)
                )
            end
    );
end;
$function$;

comment on function bookingdb.is_erased(uuid[], text, timestamptz) is
'Says whether the erasure of one of these people is on record that does not keep this kind of their data, and that came after p_at, when the data did.';
