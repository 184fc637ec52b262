create or replace function bookingdb.next_revision(p_old public.sessions, p_new public.sessions)
returns integer
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_same public.sessions := p_old;
    v_old jsonb;
begin
    v_same.updated_at := p_new.updated_at;
    v_same.revision := p_new.revision;
    v_same.video_url := p_new.video_url;
    v_same.video_status := p_new.video_status;
    if v_same operator(pg_catalog.*=) p_new then
        return p_old.revision;
    end if;
    -- Before the row is written, generated columns are NULL.
    v_old := to_jsonb(p_old);
    return p_old.revision + exists(
        select
        from jsonb_each(to_jsonb(p_new)) as n
        where n.value <> (v_old -> n.key)
            and n.key <> all (bookingdb.columns_of_no_change())
            and n.key not in (
                select a.attname
                from pg_attribute as a
                where a.attrelid = 'public.sessions'::regclass and a.attgenerated <> ''
            )
    )::integer;
end;
$function$;

comment on function bookingdb.next_revision(public.sessions, public.sessions) is
'Returns the revision after an UPDATE: one more if session_changes() will find any, and the event that goes with them. What a direct writer put there does not count.';
