create or replace function bookingdb.thawed_end(p_lot public.user_credits)
returns timestamptz
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return case
        when p_lot.frozen_at < clock_timestamp()
            then bookingdb.add_elapsed(p_lot.expires_at, clock_timestamp() - p_lot.frozen_at)
        else p_lot.expires_at
    end;
end;
$function$;

comment on function bookingdb.thawed_end(public.user_credits) is
'Returns when a lot expires if it is thawed now: later by the time for which it was frozen. NULL: it never expires.';
