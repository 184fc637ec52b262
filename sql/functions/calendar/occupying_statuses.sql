create or replace function bookingdb.occupying_statuses()
returns text[]
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- Materialized: otherwise the planner asks for every session instead of every status.
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
'Returns the statuses in which existing sessions take place (occupies_time), for queries over all sessions: asking for each session costs more than reading it.';
