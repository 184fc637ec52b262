create or replace function bookingdb.choose_hint(p_code text, p_context jsonb)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return case
        when p_code = 'insufficient_credits' and p_context ->> 'reason' = 'end_too_early' then
            'Choose an earlier start, or purchase credits that are still valid then.'
        when p_code = 'insufficient_credits' and p_context ? 'lot_id' then
            case
                when p_context ->> 'lot_id' is null then 'Take no more credits than the client has.'
                else 'Take no more credits than are left in this lot.'
            end
        when p_code = 'idempotency_key_reused' and p_context ->> 'parameter' = 'p_payment_reference' then
            'This payment was granted before, with another amount or to another client.'
        when p_code = 'invalid_parameter' then
            case p_context ->> 'reason'
                when 'of_another' then
                    'Somebody else has it: the practice frees it with change_email(), or lets its owner log in with '
                    'another id by change_login().'
                when 'rotating' then 'A rotation is under way: end it first, when the receiver knows the new secret.'
                when 'no_secret' then
                    'Its secret is not kept here: change it where it is, such as the worker''s environment variable.'
                when 'kept_elsewhere' then 'The application keeps this itself: change it there.'
                when 'merged' then
                    case
                        when p_context ? 'user_id' then 'This client became somebody else: DETAIL has their id.'
                        else 'This client became somebody else: log in as them.'
                    end
            end
        when p_code = 'invalid_transition' then
            case
                when p_context ->> 'reason' = 'refunded' and p_context ->> 'asked' = 'refunded' then
                    'Its credit was given back before, and is given back once.'
                when p_context ->> 'reason' = 'refunded' then
                    'Its credit was given back: cancel it, and book again.'
                when p_context ->> 'reason' = 'not_charged' then 'It took no credit that could be given back.'
                when p_context ->> 'reason' = 'lapsed' then 'It waited too long for its approval: book again.'
                when p_context ->> 'asked' = 'refunded' then
                    'A refund is for a session that is over or was cancelled: cancel this one with a refund.'
                when not p_context ? 'status' then 'The hold was booked: cancel its session.'
                when (p_context ->> 'start_time')::timestamptz > clock_timestamp()
                    and p_context ->> 'asked' in ('in_progress', 'completed', 'no_show') then
                    'It is too early: wait for its start.'
                when (p_context ->> 'start_time')::timestamptz <= clock_timestamp()
                    and p_context ->> 'status' in ('pending_approval', 'scheduled', 'confirmed') then
                    'It has begun: the practice can still cancel it.'
            end
    end;
end;
$function$;

comment on function bookingdb.choose_hint(text, jsonb) is
'Returns what to do next where the context of an error says it better than the table of errors does; else NULL.';
