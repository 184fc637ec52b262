create or replace function bookingdb.move_mirrors(p_old bookingdb.calendar, p_new bookingdb.calendar)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    if (p_new.id, p_new.therapist_id, p_new.client_id)
        is not distinct from (p_old.id, p_old.therapist_id, p_old.client_id) then
        update bookingdb.calendar as c
        set kind = p_new.kind,
            period = p_new.period,
            blocked = p_new.period,
            expires_at = p_new.expires_at
        where c.id = any (p_old.mirror_ids)
            and c.mirror_of = p_old.id
            and (c.kind, c.period, c.expires_at) is distinct from (p_new.kind, p_new.period, p_new.expires_at);
        return;
    end if;
    delete from bookingdb.calendar as c
    where c.id = any (p_old.mirror_ids) and c.mirror_of = p_old.id;
    if p_new.id is not null then
        perform bookingdb.mirror_time(p_new.id, p_new.therapist_id, p_new.client_id);
    end if;
end;
$function$;

comment on function bookingdb.move_mirrors(bookingdb.calendar, bookingdb.calendar) is
'Changes what keeps a time in the other part of its people as its row was changed: it becomes a session, moves, or goes (p_new NULL).';
