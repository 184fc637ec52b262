create or replace function bookingdb.require_credit_account(p_user_id uuid)
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    if not bookingdb.is_client(p_user_id)
        and not exists (select from public.user_credits as u where u.user_id = p_user_id)
        and not exists (select from bookingdb.ledger as l where l.user_id = p_user_id) then
        perform bookingdb.raise_error('user_not_found', jsonb_build_object('user_id', p_user_id));
    end if;
end;
$function$;

comment on function bookingdb.require_credit_account(uuid) is
'Refuses users of whom nothing is known. Users who are no longer active keep their credits and history. Raises: user_not_found.';
