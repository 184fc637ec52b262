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
        -- A payment whose reference was erased goes on to name its lot.
        update bookingdb.payments as p
        set lot_id = null
        where p.lot_id = old.id and (tg_op = 'DELETE' or p.payment_reference is not null);
    end if;

    if tg_op <> 'DELETE' and new.payment_reference is not null then
        -- Not DO NOTHING: the row's lock decides between this grant and a revocation that comes at the same moment.
        insert into bookingdb.payments as p (payment_key, payment_reference, lot_id, user_id, actor)
        values (
            bookingdb.payment_key(new.payment_reference), new.payment_reference, new.id, new.user_id, bookingdb.actor()
        )
        on conflict (payment_key) do update
        set payment_reference = excluded.payment_reference,
            lot_id = excluded.lot_id,
            user_id = excluded.user_id
        where p.lot_id = new.id
            -- offset 0: a look-up by id, whatever the statistics say.
            or not exists (select from public.user_credits as c where c.id = p.lot_id offset 0)
        returning p.*
        into v_payment;
        -- The unique index of the lots does not know a reference that was erased.
        if not found then
            raise exception using
                errcode = 'integrity_constraint_violation', constraint = 'user_credits_payment_reference_key',
                message = 'The payment was granted before';
        end if;
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
