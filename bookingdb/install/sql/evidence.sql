-- Sums up the ledger and the audit log, up to these entries: what nobody may change, also while no trigger looks.
select jsonb_build_object(
    'bookingdb.ledger',
    (
        select jsonb_build_object(
            'entries', count(*),
            'last', max(e.id),
            'digest', sum(('x' || substr(encode(sha256(convert_to(e.content, 'UTF8')), 'hex'), 1, 15))::bit(60)::bigint)
        )
        from (
            select
                l.id,
                concat_ws(
                    '|', l.id, l.user_id, l.lot_id, coalesce(l.session_id::text, ''), l.kind, l.amount,
                    l.balance_after, l.actor, extract(epoch from l.created_at)
                ) as content
            from bookingdb.ledger as l
        ) as e
        where e.id <= :last_entry
    ),
    'public.booking_audit_log',
    (
        select jsonb_build_object(
            'entries', count(*),
            'last', max(e.id),
            'digest', sum(('x' || substr(encode(sha256(convert_to(e.content, 'UTF8')), 'hex'), 1, 15))::bit(60)::bigint)
        )
        from (
            select
                l.id,
                concat_ws(
                    '|', l.id, l.session_id, coalesce(l.user_id::text, ''), l.action, coalesce(l.old_status, ''),
                    coalesce(l.new_status, ''), l.changes, l.actor, extract(epoch from l.created_at)
                ) as content
            from public.booking_audit_log as l
        ) as e
        where e.id <= :last_record
    )
) as evidence
