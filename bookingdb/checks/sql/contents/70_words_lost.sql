-- table: bookingdb.texts
-- problem: lacks words that the audit log refers to, and no erasure that took them is on record
-- remedy: Restore them from a backup; somebody changed the table while its triggers were off
select
    exists (
        select from bookingdb.texts as t
        where t.text is null
            and not bookingdb.is_erased(
                bookingdb.people_of_record('bookingdb.texts', to_jsonb(t)), 'records', t.created_at
            )
    )
    or exists (
        select from public.booking_audit_log as a
        cross join lateral jsonb_each(case jsonb_typeof(a.changes) when 'object' then a.changes else '{}' end) as c
        cross join lateral (values (c.value -> 'old_text_id'), (c.value -> 'new_text_id')) as r (id)
        where a.changes::text like '%_text_id%'
            and jsonb_typeof(r.id) = 'number'
            and not exists (select from bookingdb.texts as t where t.id = (r.id #>> '{}')::bigint)
    ) as is_wrong
