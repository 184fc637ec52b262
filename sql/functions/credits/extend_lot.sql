-- Public.
create or replace function bookingdb.extend_lot(
    p_lot_id uuid,
    p_expires_at timestamptz default null,
    p_expires_on date default null,
    p_reason text default null
)
returns bookingdb.lot
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_parameter constant text := case when p_expires_on is null then 'p_expires_at' else 'p_expires_on' end;
    v_expires_at timestamptz := p_expires_at;
    v_lot public.user_credits;
    v_state text;
    v_back integer := 0;
    v_owed integer;
begin
    perform bookingdb.authorise_trusted();
    -- Exactly one of the two says until when.
    if num_nonnulls(p_expires_at, p_expires_on) <> 1 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', v_parameter, 'reason', case when p_expires_on is null then 'missing' else 'given_twice' end
        ));
    end if;
    if p_expires_on is not null then
        v_expires_at := bookingdb.end_of_date('p_expires_on', p_expires_on);
    end if;
    perform bookingdb.require_credit_reason(p_reason);
    v_lot := bookingdb.lock_lot(p_lot_id);

    -- The clock is read here, because the lot may have expired during the wait.
    v_lot := bookingdb.post_expiry(v_lot);
    v_state := bookingdb.lot_state(v_lot);
    if v_state not in ('active', 'used', 'frozen', 'expired') or v_lot.expires_at is null then
        perform bookingdb.raise_error('invalid_parameter', jsonb_strip_nulls(jsonb_build_object(
            'parameter', 'p_lot_id', 'lot_id', p_lot_id, 'status', v_state,
            'reason', case when v_lot.expires_at is null then 'never_expires' end
        )));
    end if;
    -- A second call with the same end gets the same answer.
    if v_expires_at = v_lot.expires_at and v_state <> 'expired' then
        return bookingdb.listed_lot(v_lot);
    end if;
    if v_expires_at <= greatest(clock_timestamp(), v_lot.expires_at)
        or v_expires_at >= timestamptz '3000-01-01 00:00:00+00' then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', v_parameter,
            'reason', case
                when v_expires_at >= timestamptz '3000-01-01 00:00:00+00' then 'too_far'
                when v_expires_at <= clock_timestamp() then 'past'
                else 'not_later'
            end,
            'expires_at', bookingdb.iso_utc(v_lot.expires_at)
        ));
    end if;

    -- Credits that expired since the lot's end come back. (What a renewal let expire before it does not.)
    if v_state = 'expired' then
        select greatest(0, least(-coalesce(sum(l.amount), 0), 2147483647 - v_lot.credits_balance))
        into v_back
        from bookingdb.ledger as l
        where l.lot_id = p_lot_id
            and l.kind in ('expiry', 'extension')
            and l.created_at >= v_lot.expires_at;
    end if;
    perform bookingdb.note_on_lot(v_lot, 'extension', v_back, p_reason);
    v_lot.credits_balance := v_lot.credits_balance + v_back;
    -- A part of the payment was taken back that had expired or been spent.
    v_owed := least(v_lot.credits_owed, v_back);
    if v_owed > 0 then
        perform bookingdb.note_on_lot(v_lot, 'revocation', -v_owed, p_reason);
        v_lot.credits_balance := v_lot.credits_balance - v_owed;
    end if;
    update public.user_credits as c
    set credits_balance = v_lot.credits_balance,
        credits_expired = greatest(c.credits_expired, v_back) - v_back,
        credits_owed = c.credits_owed - v_owed,
        expires_at = v_expires_at,
        status = case
            when c.status = 'frozen' then 'frozen'
            when v_lot.credits_balance > 0 then 'active'
            else 'used'
        end,
        updated_at = now()
    where c.id = p_lot_id
    returning c.*
    into v_lot;
    if not found then
        perform bookingdb.raise_write_swallowed();
    end if;
    return bookingdb.listed_lot(v_lot);
end;
$function$;

comment on function bookingdb.extend_lot(uuid, timestamptz, date, text) is
'Lets a lot expire later: at p_expires_at, or at the end of the day p_expires_on in the default policy''s zone, later than now and than before. Credits that expired in it come back. The ledger keeps p_reason (1 to 1000 characters). A lot that never expires or was revoked is refused. For trusted callers. Raises: invalid_parameter.';
