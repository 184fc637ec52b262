create or replace function bookingdb.author_of_reason(p_session_id uuid)
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return (
        select (array_agg(a.actor order by a.id desc))[1]
        from public.booking_audit_log as a
        where a.session_id = p_session_id and a.changes ? 'cancellation_reason'
    );
end;
$function$;

comment on function bookingdb.author_of_reason(uuid) is
'Returns who wrote a session''s reason of cancellation last, an id or a role; NULL: nobody, or it is not known.';
