create or replace function bookingdb.unmirrored_times()
returns setof bookingdb.calendar
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select c.*
    from bookingdb.calendar as c
    left join (
        select p.id, bool_or(p.user_type = 'therapist') as is_therapist
        from bookingdb.people as p
        group by p.id
    ) as k on k.id = c.client_id
    left join (
        select p.id, bool_or(p.user_type = 'therapist') as is_therapist
        from bookingdb.people as p
        group by p.id
    ) as t on t.id = c.therapist_id
    left join bookingdb.calendar as m on m.mirror_of = c.id and m.therapist_id = c.client_id
    left join bookingdb.calendar as n on n.mirror_of = c.id and n.client_id = c.therapist_id
    where c.kind in ('session', 'hold')
        and c.mirror_of is null
        and upper(c.period) > clock_timestamp()
        and (c.expires_at is null or c.expires_at > clock_timestamp())
        and c.client_id is distinct from c.therapist_id
        and ((k.is_therapist and m.id is null) or (not t.is_therapist and n.id is null));
end;
$function$;

comment on function bookingdb.unmirrored_times() is
'Returns the sessions to come and live holds of a client who is a therapist, or a therapist who is a client, whose time that other part does not keep.';
