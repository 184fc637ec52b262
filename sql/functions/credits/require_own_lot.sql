create or replace function bookingdb.require_own_lot(p_user_id uuid, p_lot_id uuid)
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    if p_lot_id is not null and not exists (
        select from public.user_credits as c
        where c.id = p_lot_id and c.user_id = p_user_id and c.user_type = 'user'
    ) then
        perform bookingdb.raise_error('lot_not_found', jsonb_build_object('lot_id', p_lot_id));
    end if;
end;
$function$;

comment on function bookingdb.require_own_lot(uuid, uuid) is
'Refuses a lot that is not this client''s. NULL is allowed: no lot is named. Raises: lot_not_found.';
