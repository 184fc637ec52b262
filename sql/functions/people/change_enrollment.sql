create or replace function bookingdb.change_enrollment(p_user_id uuid, p_old_email text, p_email text)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    -- The enrollment of somebody without an address waits under one that is nobody's, and follows to the next.
    v_nobodys constant text := p_user_id || '@freed.invalid';
    v_old_email constant text := coalesce(p_old_email, v_nobodys);
    v_email constant text := coalesce(p_email, v_nobodys);
    v_is_other constant boolean := lower(v_email) <> lower(v_old_email);
    v_row record;
begin
    -- As the trigger of the table, which does not wait for a deletion.
    perform bookingdb.lock_people(array[p_user_id]);
    for v_row in
        select e.ctid as place, (e.status = 'approved' and e.is_active) is true as enrolls
        from public.therapist_enrollments as e
        where lower(e.email) = lower(v_old_email)
        order by 2 desc, e.ctid
        for update
    loop
        begin
            update public.therapist_enrollments as e
            set email = v_email
            where e.ctid = v_row.place;
        exception
            when unique_violation then
                -- One address has one row there: the one that enrolls stays, else the one of the new address.
                continue when not v_is_other;
                if v_row.enrolls and not exists (
                    select from public.therapist_enrollments as e
                    where lower(e.email) = lower(v_email) and e.status = 'approved' and e.is_active
                ) then
                    delete from public.therapist_enrollments as e where lower(e.email) = lower(v_email);
                    update public.therapist_enrollments as e
                    set email = v_email
                    where e.ctid = v_row.place;
                else
                    delete from public.therapist_enrollments as e where e.ctid = v_row.place;
                end if;
        end;
    end loop;
exception
    when foreign_key_violation then
        -- The application refers to a row that would have to go.
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_email', 'reason', 'of_another'
        ));
end;
$function$;

comment on function bookingdb.change_enrollment(uuid, text, text) is
'Lets a person''s enrollments (adapter enrollments) follow their e-mail address, or wait where they have none. Caller holds: the lock of the row in users. Raises: invalid_parameter.';
