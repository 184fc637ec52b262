create or replace function bookingdb.check_holds()
returns table (invariant integer, subject_id uuid, problem text, context jsonb)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_indexscan = off
set enable_indexonlyscan = off
set enable_bitmapscan = off
set enable_nestloop = off
as $function$
begin
    return query
    select 9, coalesce(h.id, c.id),
        case
            when h.id is null then 'calendar row of a hold that is not there'
            when h.released_at is not null then 'calendar row of a hold that was given up'
            when c.id is null then 'hold has no calendar row'
            else 'calendar row differs from its hold'
        end,
        jsonb_build_object('user_id', coalesce(h.user_id, c.client_id), 'expires_at', coalesce(
            h.expires_at, c.expires_at
        ))
    from bookingdb.holds as h
    full join (
        select k.id, k.therapist_id, k.client_id, k.period, k.expires_at
        from bookingdb.calendar as k
        where k.kind = 'hold' and k.mirror_of is null
    ) as c on c.id = h.id
    -- Holds that became sessions.
    left join (select distinct a.session_id from public.booking_audit_log as a) as b on b.session_id = h.id
    where h.id is null
        or (c.id is not null and h.released_at is not null)
        or (
            c.id is null
            and h.released_at is null
            and h.expires_at > clock_timestamp()
            and b.session_id is null
        )
        or c.therapist_id <> h.therapist_id
        or c.client_id <> h.user_id
        or c.period <> tstzrange(h.start_time, h.end_time)
        or (c.expires_at <> h.expires_at and greatest(c.expires_at, h.expires_at) > clock_timestamp());
end;
$function$;

comment on function bookingdb.check_holds() is
'Invariant 9: returns the holds that are kept without a calendar row, and the calendar rows of holds that are not, or otherwise.';
