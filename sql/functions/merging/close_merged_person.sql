create or replace function bookingdb.close_merged_person(p_from_id uuid, p_into_id uuid, p_kind text)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_email text;
    v_full_name text;
    v_is_verified boolean;
    v_nobodys constant text := '@merged.invalid';
begin
    -- Nothing is left to close, when a call is repeated.
    if not exists (
        select from bookingdb.people as p
        where p.id = p_from_id
            and (p.is_active or p.full_name <> '' or (p.email <> p.id || v_nobodys and bookingdb.keeps_people('users')))
    ) then
        return;
    end if;
    if not bookingdb.keeps_people('users') then
        -- The address is that of the account, which stays.
        select p.full_name
        into v_full_name
        from bookingdb.people as p
        where p.id = p_from_id;
        execute 'update public.profiles as p set is_active = false, full_name = null where p.id = $1'
        using p_from_id;
        if p_kind = 'login' then
            execute 'update public.profiles as p set full_name = coalesce(p.full_name, $1) where p.id = $2'
            using v_full_name, p_into_id;
        end if;
        return;
    end if;

    select u.email, u.full_name, u.is_verified
    into v_email, v_full_name, v_is_verified
    from public.users as u
    where u.id = p_from_id;
    update public.users as u
    set is_active = false,
        email = bookingdb.freed_text('email', u.id),
        full_name = bookingdb.freed_text('full_name', u.id),
        updated_at = now()
    where u.id = p_from_id;
    if not found then
        perform bookingdb.raise_write_swallowed();
    end if;
    if p_kind = 'login' then
        update public.users as u
        set email = case
                when u.email is null or u.email = u.id || v_nobodys then coalesce(v_email, u.email) else u.email
            end,
            full_name = coalesce(nullif(u.full_name, ''), v_full_name),
            is_verified = u.is_verified or v_is_verified,
            updated_at = now()
        where u.id = p_into_id and v_email is distinct from p_from_id || v_nobodys;
    end if;
end;
$function$;

comment on function bookingdb.close_merged_person(uuid, uuid, text) is
'Deactivates who was merged, and frees their name and address, for the new login (p_kind login) or anybody. Caller holds: the locks of both people and of their rows.';
