create or replace function bookingdb.therapists_in_calendar()
returns setof uuid
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    c_first constant uuid := '00000000-0000-0000-0000-000000000000';
begin
    -- From one therapist to the next: of many sessions a look-up a therapist is read.
    return query
    with recursive of_sessions as (
        select c_first as id
        union all
        select (
            select s.therapist_id
            from public.sessions as s
            where s.therapist_id > t.id
            order by s.therapist_id
            limit 1
        )
        from of_sessions as t
        where t.id is not null
    ),

    of_appointments as (
        select c_first as id
        union all
        select (
            select a.therapist_id
            from bookingdb.absences as a
            where a.kind = 'external' and a.therapist_id > t.id
            order by a.therapist_id
            limit 1
        )
        from of_appointments as t
        where t.id is not null
    )

    select t.id from of_sessions as t where t.id <> c_first
    union
    select t.id from of_appointments as t where t.id <> c_first
    union
    select t.id from bookingdb.therapists as t;
end;
$function$;

comment on function bookingdb.therapists_in_calendar() is
'Returns the therapists who may have calendar rows or absences: those with sessions or external appointments, and those who can be booked.';
