create or replace function bookingdb.lock_next_lot(
    p_user_id uuid,
    p_lot_id uuid default null,
    p_empty_too boolean default false,
    p_valid_at timestamptz default null
)
returns public.user_credits
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_lot public.user_credits;
    v_lock_timeout text;
begin
    v_lock_timeout := bookingdb.limit_wait();
    -- A lot that expires during the wait is not spent.
    loop
        if p_empty_too then
            select l.*
            into v_lot
            from public.user_credits as l
            where l.id = p_lot_id
                and l.user_id = p_user_id
                and l.user_type = 'user'
                and l.status in ('active', 'used')
                and (l.expires_at is null or l.expires_at > clock_timestamp())
            for update;
        else
            select l.*
            into v_lot
            from public.user_credits as l
            where l.user_id = p_user_id
                and l.user_type = 'user'
                and l.status = 'active'
                and l.credits_balance > 0
                and (l.expires_at is null or l.expires_at > greatest(clock_timestamp(), p_valid_at))
                and (l.id = p_lot_id or p_lot_id is null)
            order by l.priority, l.expires_at asc nulls last, l.category desc, l.created_at, l.id
            limit 1
            for update;
        end if;
        exit when coalesce(v_lot.expires_at > clock_timestamp(), true);
    end loop;
    perform set_config('lock_timeout', v_lock_timeout, true);
    return v_lot;
exception
    when lock_not_available then
        perform bookingdb.raise_error('busy');
end;
$function$;

comment on function bookingdb.lock_next_lot(uuid, uuid, boolean, timestamptz) is
'Returns the client''s lot that is spent next (valid at p_valid_at, too), locked, or NULLs. p_lot_id: only this one, with p_empty_too even empty. Caller holds: the client''s lock. Raises: busy.';
