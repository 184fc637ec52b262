create or replace function bookingdb.record_payment()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_payment bookingdb.payments;
begin
    if tg_op = 'UPDATE' and new.payment_reference is not distinct from old.payment_reference then
        return null;
    end if;

    if tg_op <> 'INSERT' then
        update bookingdb.payments as p
        set lot_id = null
        where p.payment_reference = old.payment_reference and p.lot_id = old.id;
    end if;

    if tg_op <> 'DELETE' and new.payment_reference is not null then
        -- Not DO NOTHING: the row's lock decides between this grant and a revocation that comes at the same moment.
        insert into bookingdb.payments as p (payment_reference, lot_id, user_id, actor)
        values (new.payment_reference, new.id, new.user_id, bookingdb.actor())
        on conflict (payment_reference) do update set lot_id = excluded.lot_id, user_id = excluded.user_id
        returning p.*
        into v_payment;
        -- The payment was revoked before it was granted.
        if v_payment.revoked_share > 0 then
            perform bookingdb.take_back(new.id, array[new.id], v_payment.revoked_share, v_payment.reason);
        end if;
    end if;
    return null;
end;
$function$;

comment on function bookingdb.record_payment() is
'Trigger on public.user_credits, per row: keeps bookingdb.payments, whoever writes the lot, and takes back what was revoked before it was granted.';
