-- Inlined.
create or replace function bookingdb.own_role()
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- Claims count for the role authenticated alone (jwt_claims); other roles are users where they act as one.
    return case
        when bookingdb.effective_role() <> 'authenticated'
            and coalesce(current_setting('bookingdb.acting_as', true), '') = ''
            then bookingdb.effective_role()
    end;
end;
$function$;

comment on function bookingdb.own_role() is
'Returns the role of a caller who is no user, or NULL. coalesce(own_role(), actor()) is actor(), without a call where it can be.';
