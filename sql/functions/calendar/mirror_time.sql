create or replace function bookingdb.mirror_time(p_id uuid, p_therapist_id uuid, p_client_id uuid)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_client_is_therapist boolean;
    v_therapist_is_client boolean;
    v_row bookingdb.calendar;
    v_mirror_ids uuid[] := '{}';
begin
    -- A session with oneself has its person's time in both parts.
    if p_therapist_id = p_client_id then
        return;
    end if;
    -- An old snapshot may not know who is a therapist by now.
    if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
        perform bookingdb.require_current_rules(array[p_therapist_id, p_client_id]);
    end if;
    -- The short way of a booking spares this: its client is no therapist, and its therapist nothing else.
    select
        bool_or(p.id = p_client_id and p.user_type = 'therapist'),
        bool_or(p.id = p_therapist_id) and not bool_or(p.id = p_therapist_id and p.user_type = 'therapist')
    into v_client_is_therapist, v_therapist_is_client
    from bookingdb.people as p
    where p.id in (p_client_id, p_therapist_id);
    if (v_client_is_therapist or v_therapist_is_client) is not true then
        return;
    end if;

    -- A cancellation locks the client only, so that somebody else may be removing the row. Direct writers lock it
    -- before its people: a wait here could be a deadlock.
    begin
        select c.*
        into v_row
        from bookingdb.calendar as c
        where c.id = p_id
        for update nowait;
    exception
        when lock_not_available then
            perform bookingdb.raise_error('busy');
    end;
    if v_row.id is null then
        return;
    end if;
    delete from bookingdb.calendar as c
    where c.id = any (v_row.mirror_ids) and c.mirror_of = p_id;

    if v_client_is_therapist then
        if exists (
            select from bookingdb.calendar as c
            where c.therapist_id = p_client_id
                and c.blocked && v_row.period
                and c.kind in ('session', 'hold')
                and (c.expires_at is null or c.expires_at > clock_timestamp())
        ) then
            perform bookingdb.raise_error(
                'client_conflict',
                bookingdb.period_context(p_therapist_id, v_row.period)
                || bookingdb.own_time_context(p_client_id, null, v_row.period, p_id)
            );
        end if;
        -- The buffers of a therapist are for their own sessions.
        v_mirror_ids := v_mirror_ids || bookingdb.new_id();
        perform bookingdb.occupy_time(
            v_mirror_ids[1], p_client_id, null, v_row.period, v_row.period, v_row.expires_at, v_row.kind, p_id
        );
    end if;
    if v_therapist_is_client then
        if bookingdb.client_conflict(p_therapist_id, v_row.period, p_id) then
            perform bookingdb.raise_error('booking_conflict', bookingdb.period_context(
                p_therapist_id, v_row.period
            ));
        end if;
        v_mirror_ids := v_mirror_ids || bookingdb.new_id();
        perform bookingdb.occupy_time(
            v_mirror_ids[cardinality(v_mirror_ids)], null, p_therapist_id, v_row.period, v_row.period,
            v_row.expires_at, v_row.kind, p_id
        );
    end if;
    -- mirrors_follow() goes by these.
    update bookingdb.calendar as c
    set mirror_ids = v_mirror_ids
    where c.id = p_id;
end;
$function$;

comment on function bookingdb.mirror_time(uuid, uuid, uuid) is
'Keeps a calendar row''s time in the other part of its people, if a client is a therapist or a therapist a client. Caller holds: both people''s locks. Raises: busy, client_conflict, booking_conflict.';
