create or replace function bookingdb.next_actions(p_session public.sessions, p_part text)
returns text[]
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_now constant timestamptz := clock_timestamp();
begin
    return array(
        select distinct t.function_name
        from unnest(bookingdb.transitions()) as t
        where t.old_status = p_session.status
            and p_part = any (t.parts)
            -- A session without a start is neither too early nor too late.
            and (p_session.start_time > v_now + t.earliest) is not true
            and (t.is_until_start and p_session.start_time <= v_now) is not true
            -- What waited for approval too long can only be cancelled.
            and (t.function_name = 'cancel_session' or (p_session.approval_until <= v_now) is not true)
            and (
                t.function_name <> 'approve_session'
                or (
                    exists (select from bookingdb.calendar as c where c.id = p_session.id and c.kind = 'session')
                    and (bookingdb.last_charge(p_session.id)).is_returned is not true
                )
            )
            and case t.function_name
                -- The therapist undoes nothing that takes a credit.
                when 'reopen_session' then (
                    p_part = 'trusted' or (bookingdb.last_charge(p_session.id)).is_returned is not true
                )
                and bookingdb.reopened_status(p_session, bookingdb.last_charge(p_session.id)) is not null
                when 'refund_session' then (bookingdb.last_charge(p_session.id)).is_returned is false
                when 'transfer_session' then bookingdb.has_place_in_time(p_session) is true
                else true
            end
        order by t.function_name
    );
end;
$function$;

comment on function bookingdb.next_actions(public.sessions, text) is
'Returns the public functions that a session''s status and start allow now to a part in it (client, therapist or trusted). Rules of a booking and limits of a policy may still refuse.';
