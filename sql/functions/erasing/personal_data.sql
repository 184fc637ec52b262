create or replace function bookingdb.personal_data()
returns setof bookingdb.personal_column
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- condition finds a person's rows: t is the row, $1 are the person's ids. In this order they are erased: what is
    -- found by an address goes before the address. A kind that p_keep can name is kept where it is named; traces,
    -- hours and evidence (each part of which goes by its own table) are not. A column of kind none has nobody's words,
    -- and the last field says what it has.
    return query
    select p.table_name, p.condition, p.column_name, p.kind, p.erasure
    from (
        values
        ('public.therapist_enrollments',
            'lower(t.email) in (select lower(u.email) from public.users as u where u.id = any ($1))',
            'email', 'identity', 'null'),
        ('public.users', 't.id = any ($1)', 'email', 'identity', 'null'),
        ('public.users', 't.id = any ($1)', 'full_name', 'identity', 'null'),
        ('public.therapists', 't.id = any ($1)', 'email', 'identity', 'null'),
        ('public.therapists', 't.id = any ($1)', 'full_name', 'identity', 'null'),
        ('public.profiles', 't.id = any ($1)', 'full_name', 'identity', 'null'),
        ('public.users', 't.id = any ($1)', 'user_type', 'none', 'user or therapist'),
        ('public.sessions', 't.user_id = any ($1)', 'title', 'records', 'null'),
        ('public.sessions', 't.user_id = any ($1)', 'description', 'records', 'null'),
        ('public.sessions', 't.user_id = any ($1)', 'session_type', 'records', 'null'),
        ('public.sessions', 't.user_id = any ($1)', 'cancellation_reason', 'records', 'null'),
        ('public.sessions', 't.user_id = any ($1)', 'change_reason', 'records', 'null'),
        ('public.sessions',
            't.cancellation_reason is not null and t.id in (select s.id from bookingdb.sessions_of_person($1) '
            || 'as s (id)) and bookingdb.author_of_reason(t.id) = any ($1::text[])',
            'cancellation_reason', 'records', 'null'),
        ('public.sessions', 't.therapist_id = any ($1)', null, 'none', 'times and statuses'),
        ('public.sessions', null, 'status', 'none', 'a word of the table of transitions'),
        ('public.sessions', null, 'time_zone', 'none', 'an IANA name'),
        ('public.sessions', null, 'overridden_rules', 'none', 'names of rules'),
        ('bookingdb.texts',
            't.user_id = any ($1) or (t.column_name = ''cancellation_reason'' and t.actor = any '
            || '($1::text[]))',
            'text', 'records', 'reduced'),
        ('bookingdb.texts', null, 'column_name', 'none', 'a column of public.sessions'),
        ('bookingdb.texts', null, 'actor', 'none', 'an id or a role'),
        ('public.booking_audit_log',
            't.user_id = any ($1) or t.changes #>> ''{user_id,old}'' = any ($1::text[])',
            'changes', 'records', 'reduced'),
        ('public.booking_audit_log', 't.actor = any ($1::text[])', null, 'none', 'what they did'),
        ('public.booking_audit_log', null, 'action', 'none', 'a word of ours'),
        ('public.booking_audit_log', null, 'old_status', 'none', 'a status'),
        ('public.booking_audit_log', null, 'new_status', 'none', 'a status'),
        ('public.booking_audit_log', null, 'actor', 'none', 'an id or a role'),
        ('bookingdb.payments',
            't.lot_id in (select c.id from public.user_credits as c where c.user_id = any ($1)) or (t.user_id = any '
            || '($1) and not exists (select from public.user_credits as c where c.id = t.lot_id))',
            'payment_reference', 'payments', 'null'),
        ('bookingdb.payments',
            't.lot_id in (select c.id from public.user_credits as c where c.user_id = any ($1)) or (t.user_id = any '
            || '($1) and not exists (select from public.user_credits as c where c.id = t.lot_id))',
            'reason', 'payments', 'null'),
        ('bookingdb.payments', null, 'actor', 'none', 'an id or a role'),
        ('public.user_credits', 't.user_id = any ($1)', 'payment_reference', 'payments', 'null'),
        ('public.user_credits', null, 'user_type', 'none', 'user'),
        ('public.user_credits', null, 'status', 'none', 'a word of ours'),
        ('public.user_credits', null, 'category', 'none', 'paid or promotional'),
        ('bookingdb.ledger', 't.user_id = any ($1)', 'reason', 'payments', 'reduced'),
        ('bookingdb.ledger',
            't.kind = ''transfer'' and $1 && bookingdb.people_of_record(''bookingdb.ledger'', to_jsonb(t))',
            'reason', 'payments', 'reduced'),
        ('bookingdb.ledger', null, 'kind', 'none', 'a word of ours'),
        ('bookingdb.ledger', null, 'actor', 'none', 'an id or a role'),
        ('bookingdb.merged_people',
            't.from_user_id = any ($1) or t.into_user_id = any ($1)',
            'reason', 'records', 'reduced'),
        ('bookingdb.merged_people', null, 'kind', 'none', 'a word of ours'),
        ('bookingdb.merged_people', null, 'actor', 'none', 'an id or a role'),
        ('bookingdb.rewritten_records',
            '$1 && bookingdb.people_of_record(''bookingdb.rewritten_records'', to_jsonb(t))',
            'old_row', 'evidence', 'reduced'),
        ('bookingdb.rewritten_records',
            '$1 && bookingdb.people_of_record(''bookingdb.rewritten_records'', to_jsonb(t))',
            'new_row', 'evidence', 'reduced'),
        ('bookingdb.rewritten_records', null, 'table_name', 'none', 'a table of ours'),
        ('bookingdb.rewritten_records', null, 'operation', 'none', 'UPDATE or DELETE'),
        ('bookingdb.rewritten_records', null, 'rewritten_by', 'none', 'a role'),
        ('bookingdb.adoption',
            '$1 && bookingdb.people_of_record(''bookingdb.adoption'', to_jsonb(t))',
            'original', 'evidence', 'reduced'),
        ('bookingdb.adoption',
            '$1 && bookingdb.people_of_record(''bookingdb.adoption'', to_jsonb(t))',
            'adopted', 'evidence', 'reduced'),
        ('bookingdb.adoption', null, 'kind', 'none', 'a word of ours'),
        ('bookingdb.adoption', null, 'object', 'none', 'a table, or what a plan changed'),
        ('bookingdb.adoption', null, 'row_key', 'none', 'the id of a row'),
        ('bookingdb.outbox',
            't.payload ->> ''user_id'' = any ($1::text[]) or t.payload ->> ''therapist_id'' = any '
            || '($1::text[]) or t.subject_id = any ($1)',
            'payload', 'traces', 'payload'),
        ('bookingdb.outbox', null, 'event', 'none', 'the name of an event'),
        ('bookingdb.idempotency_keys', 't.user_id = any ($1)', 'key', 'traces', 'deleted'),
        ('bookingdb.idempotency_keys', 't.user_id = any ($1)', 'result', 'traces', 'deleted'),
        ('bookingdb.idempotency_keys', null, 'function_name', 'none', 'a function of ours'),
        ('bookingdb.refusals', 't.user_id = any ($1)', 'context', 'traces', 'deleted'),
        ('bookingdb.refusals', null, 'function_name', 'none', 'a function of ours'),
        ('bookingdb.refusals', null, 'code', 'none', 'a code of ours'),
        ('bookingdb.refusals', null, 'rule', 'none', 'a rule of ours'),
        ('bookingdb.refusals', null, 'actor', 'none', 'an id or a role'),
        ('bookingdb.absences',
            't.therapist_id = any ($1) and t.external_source is distinct from ''adoption''',
            'reason', 'hours', 'deleted'),
        ('bookingdb.absences',
            't.therapist_id = any ($1) and t.external_source is distinct from ''adoption''',
            'external_source', 'hours', 'deleted'),
        ('bookingdb.absences',
            't.therapist_id = any ($1) and t.external_source is distinct from ''adoption''',
            'external_id', 'hours', 'deleted'),
        ('bookingdb.absences', 't.client_id = any ($1)', null, 'none', 'times'),
        ('bookingdb.absences', null, 'kind', 'none', 'a word of ours'),
        ('bookingdb.calendar', 't.client_id = any ($1)', null, 'none', 'times'),
        ('bookingdb.calendar', null, 'kind', 'none', 'a word of ours'),
        ('bookingdb.weekly_hours', 't.therapist_id = any ($1)', 'time_zone', 'hours', 'deleted'),
        ('bookingdb.date_overrides', 't.therapist_id = any ($1)', null, 'hours', 'deleted'),
        ('bookingdb.therapists_with_hours', 't.therapist_id = any ($1)', null, 'hours', 'deleted'),
        ('bookingdb.policies', 't.therapist_id = any ($1)', 'time_zone', 'hours', 'deleted'),
        ('bookingdb.policies', null, 'slot_anchor', 'none', 'a word of ours'),
        ('bookingdb.policies', null, 'credits_valid_on', 'none', 'a word of ours'),
        ('bookingdb.rules', 't.therapist_id = any ($1)', null, 'none', 'what their policy and hours say'),
        ('bookingdb.rules', null, 'time_zone', 'none', 'an IANA name'),
        ('bookingdb.rules', null, 'slot_anchor', 'none', 'a word of ours'),
        ('bookingdb.rules', null, 'credits_valid_on', 'none', 'a word of ours'),
        ('bookingdb.former_therapists', 't.therapist_id = any ($1)', null, 'hours', 'deleted'),
        ('bookingdb.holds', 't.user_id = any ($1) or t.therapist_id = any ($1)', null, 'none', 'times'),
        ('bookingdb.holds', null, 'time_zone', 'none', 'an IANA name'),
        ('bookingdb.overlapping_sessions',
            't.user_id = any ($1) or t.therapist_id = any ($1)',
            null, 'none', 'times'),
        ('bookingdb.overlapping_sessions', null, 'reason', 'none', 'a code of ours'),
        ('bookingdb.therapist_clients', 't.therapist_id = any ($1)', null, 'none', 'that they are a client, too'),
        ('bookingdb.erasures', 't.person_id = any ($1)', null, 'none', 'the erasures themselves'),
        ('bookingdb.erasures', null, 'kept', 'none', 'kinds of data'),
        ('bookingdb.erasures', null, 'actor', 'none', 'an id or a role'),
        ('bookingdb.packages', null, 'name', 'none', 'a name of the practice for what it sells'),
        ('bookingdb.packages', null, 'price_reference', 'none', 'an id of a price'),
        ('bookingdb.packages', null, 'category', 'none', 'paid or promotional'),
        ('bookingdb.acknowledgements', null, 'finding_group', 'none', 'a word of ours'),
        ('bookingdb.acknowledgements', null, 'object', 'none', 'the id of what a finding is about'),
        ('bookingdb.acknowledgements', null, 'problem', 'none', 'a sentence of ours, with ids'),
        ('bookingdb.acknowledgements',
            null,
            'reason', 'none', 'why a finding may stay, in words of the owner about the database'),
        ('bookingdb.acknowledgements', null, 'acknowledged_by', 'none', 'a role'),
        ('bookingdb.history', null, 'kind', 'none', 'a word of ours'),
        ('bookingdb.history', null, 'name', 'none', 'a file of ours'),
        ('bookingdb.history', null, 'checksum', 'none', 'a hash'),
        ('bookingdb.history', null, 'version', 'none', 'a version'),
        ('bookingdb.history', null, 'details', 'none', 'roles and settings of the installation'),
        ('bookingdb.history', null, 'applied_by', 'none', 'a role'),
        ('bookingdb.active_statuses', null, 'status', 'none', 'a status'),
        ('bookingdb.time_zones', null, 'name', 'none', 'an IANA name'),
        ('bookingdb.time_zones', null, 'alias', 'none', 'an IANA name'),
        ('bookingdb.time_zone_rules', null, 'time_zone', 'none', 'an IANA name')
    ) as p (table_name, condition, column_name, kind, erasure)
    -- Tables of applications that this one does not have, or that say nothing of people here.
    where to_regclass(p.table_name) is not null
        and (
            starts_with(p.table_name, 'bookingdb.')
            or p.table_name in ('public.sessions', 'public.user_credits', 'public.booking_audit_log')
            or bookingdb.keeps_people(split_part(p.table_name, '.', 2))
        )
        and (p.column_name is null or exists (
            select from pg_attribute as a
            where a.attrelid = to_regclass(p.table_name) and a.attname = p.column_name and not a.attisdropped
        ));
end;
$function$;

comment on function bookingdb.personal_data() is
'Returns each column that may hold text, whose rows it is in, what it is, and how it is erased; and tables that know people by their ids alone. Export and erasure go by it.';
