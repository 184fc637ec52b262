-- Public.
create or replace function bookingdb.grant_credits(
    p_user_id uuid,
    p_amount integer,
    p_payment_reference text default null,
    p_expires_at timestamptz default null,
    p_idempotency_key text default null,
    p_category text default 'paid',
    p_priority integer default 50,
    p_expires_on date default null
)
returns bookingdb.granted_credits
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_expires_at timestamptz := p_expires_at;
begin
    perform bookingdb.authorise_trusted();

    if p_user_id is null then
        perform bookingdb.raise_error('invalid_user_id');
    end if;
    if p_amount is null or p_amount not between 1 and 10000 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_amount', 'minimum', 1, 'maximum', 10000
        ));
    end if;
    perform bookingdb.require_length('p_payment_reference', p_payment_reference, 1, 255);
    perform bookingdb.require_idempotency_key(p_idempotency_key);
    perform bookingdb.require_category_and_priority(p_category, p_priority);
    if p_expires_on is not null then
        v_expires_at := bookingdb.end_of_date('p_expires_on', p_expires_on);
        if p_expires_at is not null then
            perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
                'parameter', 'p_expires_on', 'reason', 'given_twice'
            ));
        end if;
    end if;

    return bookingdb.grant_lot(
        'grant_credits', p_user_id, p_amount, p_payment_reference, v_expires_at, p_idempotency_key,
        -- The expiry is left out, because a retry computes it anew. Requests from before category and priority existed
        -- must still match, as must those without an expiry.
        jsonb_build_array(p_amount, p_payment_reference, null::text)
        || case when (p_category, p_priority) = ('paid', 50) then jsonb '[]'
            else jsonb_build_array(p_category, p_priority) end,
        p_category, p_priority,
        p_expiry_parameter => case when p_expires_on is null then 'p_expires_at' else 'p_expires_on' end
    );
end;
$function$;

comment on function bookingdb.grant_credits(uuid, integer, text, timestamptz, text, text, integer, date) is
'Grants a client p_amount (1 to 10000) credits as one lot, which expires at p_expires_at (to come), or at the end of the day p_expires_on in the default policy''s zone, or never; returns the lot''s id, its balance, the client''s total, and whether this call made it. The same payment reference, or the same idempotency key, never grants twice: it returns the same lot, whatever expiry the retry computed. Lots of a lower p_priority (0 to 100) are spent first, then the soonest to expire, then those of p_category promotional before paid. For trusted callers. Raises: invalid_user_id, invalid_parameter.';
