create or replace function bookingdb.other_owner_of_address(p_user_id uuid, p_email text)
returns uuid
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_table text;
    v_owner_id uuid;
begin
    -- No unique key spans two tables. A number of this form is nobody's lock of a person.
    perform bookingdb.lock_key(hashtextextended('address ' || lower(p_email), 0), false, true);
    if bookingdb.keeps_people('users') and bookingdb.keeps_people('therapists') then
        perform bookingdb.require_current_snapshot();
    end if;
    foreach v_table in array array['users', 'therapists'] loop
        continue when not bookingdb.keeps_people(v_table);
        execute format(
            'select p.id from public.%I as p where lower(p.email) = lower($1) and p.id <> $2 limit 1', v_table
        )
        into v_owner_id
        using p_email, p_user_id;
        exit when v_owner_id is not null;
    end loop;
    return v_owner_id;
end;
$function$;

comment on function bookingdb.other_owner_of_address(uuid, text) is
'Returns somebody else who has this e-mail address in one of the adapter''s tables, or NULL, and locks the address. Caller holds: the lock of the person''s rows.';
