-- Row level security of every table. Nobody but trusted callers reads somebody else's rows; nobody but the owner, a
-- superuser and roles with BYPASSRLS (Supabase's service_role) writes at all.
--
-- The names begin with an underscore, like those of our triggers: policies of other names are the application's own,
-- and the installer leaves them alone.
--
-- The functions stand in sub-selects, so that they are asked once per query and not once per row. The conditions are
-- written as Postgres prints them (pg_get_expr), but for case and line breaks: the installer compares the two.

alter table public.users enable row level security;

alter table public.sessions enable row level security;

alter table public.user_credits enable row level security;

alter table public.booking_audit_log enable row level security;

create policy _bookingdb_read on public.users for select to public
using (
    (
        (select bookingdb.caller_is_trusted() as caller_is_trusted)
        or (id = (select bookingdb.actor_id() as actor_id))
    )
);

create policy _bookingdb_read on public.sessions for select to public
using (
    (
        (select bookingdb.caller_is_trusted() as caller_is_trusted)
        or (user_id = (select bookingdb.actor_id() as actor_id))
        or (therapist_id = (select bookingdb.actor_id() as actor_id))
    )
);

create policy _bookingdb_read on public.user_credits for select to public
using (
    (
        (select bookingdb.caller_is_trusted() as caller_is_trusted)
        or (user_id = (select bookingdb.actor_id() as actor_id))
    )
);

create policy _bookingdb_read on public.booking_audit_log for select to public
using ((select bookingdb.caller_is_trusted() as caller_is_trusted));

-- The engine room. Nobody has a privilege there (grants.sql); should somebody grant one, there is still nothing to see.

alter table bookingdb.absences enable row level security;

alter table bookingdb.acknowledgements enable row level security;

alter table bookingdb.active_statuses enable row level security;

alter table bookingdb.adoption enable row level security;

alter table bookingdb.calendar enable row level security;

alter table bookingdb.calendar_feeds enable row level security;

alter table bookingdb.contacts enable row level security;

alter table bookingdb.date_overrides enable row level security;

alter table bookingdb.deliveries enable row level security;

alter table bookingdb.destinations enable row level security;

alter table bookingdb.erasures enable row level security;

alter table bookingdb.expiry_notices enable row level security;

alter table bookingdb.former_therapists enable row level security;

alter table bookingdb.history enable row level security;

alter table bookingdb.holds enable row level security;

alter table bookingdb.idempotency_keys enable row level security;

alter table bookingdb.ledger enable row level security;

alter table bookingdb.merged_people enable row level security;

alter table bookingdb.outbox enable row level security;

alter table bookingdb.overlapping_sessions enable row level security;

alter table bookingdb.packages enable row level security;

alter table bookingdb.payments enable row level security;

alter table bookingdb.policies enable row level security;

alter table bookingdb.refusals enable row level security;

alter table bookingdb.reminder_rules enable row level security;

alter table bookingdb.rewritten_records enable row level security;

alter table bookingdb.rule_changes enable row level security;

alter table bookingdb.rules enable row level security;

alter table bookingdb.sessions_to_place enable row level security;

alter table bookingdb.texts enable row level security;

alter table bookingdb.therapist_clients enable row level security;

alter table bookingdb.therapists_with_hours enable row level security;

alter table bookingdb.time_zone_rules enable row level security;

alter table bookingdb.time_zones enable row level security;

alter table bookingdb.weekly_hours enable row level security;

create policy _bookingdb_deny on bookingdb.absences for all to public
using (false) with check (false);

create policy _bookingdb_deny on bookingdb.acknowledgements for all to public
using (false) with check (false);

create policy _bookingdb_deny on bookingdb.active_statuses for all to public
using (false) with check (false);

create policy _bookingdb_deny on bookingdb.adoption for all to public
using (false) with check (false);

create policy _bookingdb_deny on bookingdb.calendar for all to public
using (false) with check (false);

create policy _bookingdb_deny on bookingdb.calendar_feeds for all to public
using (false) with check (false);

create policy _bookingdb_deny on bookingdb.contacts for all to public
using (false) with check (false);

create policy _bookingdb_deny on bookingdb.date_overrides for all to public
using (false) with check (false);

create policy _bookingdb_deny on bookingdb.deliveries for all to public
using (false) with check (false);

create policy _bookingdb_deny on bookingdb.destinations for all to public
using (false) with check (false);

create policy _bookingdb_deny on bookingdb.erasures for all to public
using (false) with check (false);

create policy _bookingdb_deny on bookingdb.expiry_notices for all to public
using (false) with check (false);

create policy _bookingdb_deny on bookingdb.former_therapists for all to public
using (false) with check (false);

create policy _bookingdb_deny on bookingdb.history for all to public
using (false) with check (false);

create policy _bookingdb_deny on bookingdb.holds for all to public
using (false) with check (false);

create policy _bookingdb_deny on bookingdb.idempotency_keys for all to public
using (false) with check (false);

create policy _bookingdb_deny on bookingdb.ledger for all to public
using (false) with check (false);

create policy _bookingdb_deny on bookingdb.merged_people for all to public
using (false) with check (false);

create policy _bookingdb_deny on bookingdb.outbox for all to public
using (false) with check (false);

create policy _bookingdb_deny on bookingdb.overlapping_sessions for all to public
using (false) with check (false);

create policy _bookingdb_deny on bookingdb.packages for all to public
using (false) with check (false);

create policy _bookingdb_deny on bookingdb.payments for all to public
using (false) with check (false);

create policy _bookingdb_deny on bookingdb.policies for all to public
using (false) with check (false);

create policy _bookingdb_deny on bookingdb.refusals for all to public
using (false) with check (false);

create policy _bookingdb_deny on bookingdb.reminder_rules for all to public
using (false) with check (false);

create policy _bookingdb_deny on bookingdb.rewritten_records for all to public
using (false) with check (false);

create policy _bookingdb_deny on bookingdb.rule_changes for all to public
using (false) with check (false);

create policy _bookingdb_deny on bookingdb.rules for all to public
using (false) with check (false);

create policy _bookingdb_deny on bookingdb.sessions_to_place for all to public
using (false) with check (false);

create policy _bookingdb_deny on bookingdb.texts for all to public
using (false) with check (false);

create policy _bookingdb_deny on bookingdb.therapist_clients for all to public
using (false) with check (false);

create policy _bookingdb_deny on bookingdb.therapists_with_hours for all to public
using (false) with check (false);

create policy _bookingdb_deny on bookingdb.time_zone_rules for all to public
using (false) with check (false);

create policy _bookingdb_deny on bookingdb.time_zones for all to public
using (false) with check (false);

create policy _bookingdb_deny on bookingdb.weekly_hours for all to public
using (false) with check (false);
