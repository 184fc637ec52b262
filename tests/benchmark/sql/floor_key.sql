remembered as (
    insert into bookingdb_floor.idempotency_keys (
        function_name, user_id, key, request_hash, result_id, credits_balance
    )
    select 'create_session_with_credit_deduction', g.user_id, 'booking ' || :number,
        sha256(convert_to('booking ' || :number, 'UTF8')), g.id, p.credits_balance
    from given as g
    cross join paid as p
),

