create or replace function bookingdb.occupying_statuses()
returns text[]
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- Materialized, or the planner would ask of every session instead of every status.
    return array(
        with statuses as materialized (
            select distinct s.status::text as status
            from public.sessions as s
        )
        select u.status
        from statuses as u
        where bookingdb.occupies_time(u.status)
    );
end;
$function$;

comment on function bookingdb.occupying_statuses() is
'The statuses that sessions have and in which they take place (bookingdb.occupies_time): for whoever reads all sessions, because to ask of each costs more than to read it.';
