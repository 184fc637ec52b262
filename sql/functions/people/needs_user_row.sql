create or replace function bookingdb.needs_user_row(p_person_id uuid)
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- An application may have therapists in a table of their own. A client's sessions and credits refer to users there.
    return exists (
        select from bookingdb.people as p
        where p.id = p_person_id and p.user_type <> 'therapist'
    ) or (
        exists (
            select from pg_constraint as c
            where c.conrelid in ('public.sessions'::regclass, 'public.user_credits'::regclass)
                and c.contype = 'f'
                and c.confrelid = 'public.users'::regclass
        )
        and not exists (
            select from public.users as u where u.id = p_person_id
        )
    );
end;
$function$;

comment on function bookingdb.needs_user_row(uuid) is
'Says whether a therapist is, or has to be, a row of public.users to be a client as well, as where therapists have a table of their own.';
