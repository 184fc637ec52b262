create or replace function bookingdb.sessions_of_person(p_people uuid[])
returns setof uuid
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select s.id
    from public.sessions as s
    where s.user_id = any (p_people)
    union
    select s.id
    from public.sessions as s
    where s.therapist_id = any (p_people)
    union
    -- A reason stays with whoever wrote it, after the session went to another therapist, too.
    select s.id
    from public.sessions as s
    where s.id in (
            select a.session_id
            from public.booking_audit_log as a
            where a.actor = any (p_people::text[]) and a.changes ? 'cancellation_reason'
        )
        and bookingdb.author_of_reason(s.id) = any (p_people::text[]);
end;
$function$;

comment on function bookingdb.sessions_of_person(uuid[]) is
'Returns the sessions that a person is or was a part of, in both parts, and those whose cancellation they gave the reason of.';
