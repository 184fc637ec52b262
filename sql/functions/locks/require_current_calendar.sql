create or replace function bookingdb.require_current_calendar(
    p_therapist_id uuid,
    p_client_id uuid,
    p_span tstzrange
)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    -- The rows below have a new id where nobody is asked about.
    v_is_client constant boolean := p_client_id is not null;
    v_taken constant tstzrange[] := array(
        select c.blocked
        from bookingdb.calendar as c
        where c.therapist_id = p_therapist_id and c.blocked && p_span and c.kind in ('session', 'hold')
    ) || array(
        select c.period
        from bookingdb.calendar as c
        where c.client_id = p_client_id and c.period && p_span and c.kind in ('session', 'hold')
    );
    v_ids uuid[];
    v_lock_timeout text;
begin
    v_lock_timeout := bookingdb.limit_wait();
    -- A row for each time that the snapshot shows as taken, and for each gap between them. Postgres itself raises 40001
    -- where a row is in the way that is not in the snapshot; one that is in it is the only one in its time.
    with probes as (
        insert into bookingdb.calendar (id, kind, therapist_id, client_id, period, blocked)
        select
            n.id, 'session', case when v_is_client then n.id else p_therapist_id end,
            case when v_is_client then p_client_id else n.id end, n.period, n.period
        from (
            select gen_random_uuid() as id, t.period
            from (
                select g.period
                from unnest(
                    tstzmultirange(p_span)
                    - (select coalesce(range_agg(r.period), '{}') from unnest(v_taken) as r (period))
                ) as g (period)
                union all
                select r.period from unnest(v_taken) as r (period)
            ) as t
        ) as n
        on conflict do nothing
        returning id
    )

    select array_agg(p.id) into v_ids from probes as p;
    delete from bookingdb.calendar as c
    where c.id = any (v_ids);
    perform set_config('lock_timeout', v_lock_timeout, true);
exception
    when lock_not_available then
        perform bookingdb.raise_error('busy');
end;
$function$;

comment on function bookingdb.require_current_calendar(uuid, uuid, tstzrange) is
'Proves to a REPEATABLE READ or SERIALIZABLE transaction that its snapshot hides no session or hold of a therapist or a client (one is NULL) in a span. Caller holds: their lock. Raises: busy.';
