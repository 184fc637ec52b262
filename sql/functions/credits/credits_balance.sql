create or replace function bookingdb.credits_balance(p_user_id uuid)
returns integer
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return (
        -- Capped at what an integer holds: lots that were written directly can sum to more.
        select least(coalesce(sum(c.credits_balance), 0), 2147483647)
        from public.user_credits as c
        where c.user_id = p_user_id
            and c.user_type = 'user'
            and c.status = 'active'
            and (c.expires_at is null or c.expires_at > clock_timestamp())
    );
end;
$function$;

comment on function bookingdb.credits_balance(uuid) is
'Returns the credits a client can spend now: those of active lots of type user that have not expired.';
