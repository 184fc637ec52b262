create or replace function bookingdb.credits_returned_by(p_session_id uuid, p_instant timestamptz)
returns integer
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- A change of a session writes the ledger first, under the session's lock.
    return (
        select coalesce(sum(l.amount) filter (where l.amount > 0 and l.is_forfeited is null), 0)
        from bookingdb.ledger as l
        where l.session_id = p_session_id
            and l.created_at <= p_instant
            and l.charge = (
                select max(c.charge)
                from bookingdb.ledger as c
                where c.session_id = p_session_id and c.created_at <= p_instant
            )
    );
end;
$function$;

comment on function bookingdb.credits_returned_by(uuid, timestamptz) is
'Returns how many credits of a session''s last charge had come back to where they can be spent, as of a timestamp.';
