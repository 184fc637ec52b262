-- Triggers bind the functions to the tables. AFTER triggers only where applications have BEFORE triggers of their own.
-- The names begin with an underscore so that they fire before an application's AFTER triggers.
--
-- Each statement is written as Postgres prints it (pg_get_triggerdef), in lower case: the installer compares the two
-- and touches a trigger only where they differ, because that takes strong locks.

-- The calendar follows the sessions, whoever writes them; a statement is judged as a whole.
create trigger _bookingdb_calendar_insert after insert on public.sessions
for each statement execute function bookingdb.place_sessions();

create trigger _bookingdb_calendar_update after update on public.sessions
for each statement execute function bookingdb.place_sessions();

create trigger _bookingdb_calendar_delete after delete on public.sessions
referencing old table as old_rows
for each statement execute function bookingdb.sessions_changed();

-- Start, local time, end and duration stay together, whoever writes. The names sort after those of an application's
-- BEFORE triggers, which may write them, too. Sessions with a charge are written by our functions.
create trigger zz_bookingdb_times_insert before insert on public.sessions
for each row when ((new.credits_charged = 0)) execute function bookingdb.keep_times_together();

create trigger zz_bookingdb_times_update before update on public.sessions
for each row execute function bookingdb.keep_times_together();

-- The audit row and the event of every change of a session.
create trigger _bookingdb_audit_insert after insert on public.sessions
for each row execute function bookingdb.record_new_session();

create trigger _bookingdb_audit after delete or update on public.sessions
for each row execute function bookingdb.record_session_change();

-- The ledger follows the lots, whoever writes them.
create trigger _bookingdb_ledger after insert or delete or update on public.user_credits
for each row execute function bookingdb.record_balance_change();

-- Each payment is on record, whoever writes its lot. The names sort after that of the ledger's trigger: a revocation
-- that was remembered takes credits that are in the ledger by then. Credits without a payment pay nothing for it.
create trigger _bookingdb_payment_insert after insert on public.user_credits
for each row when ((new.payment_reference is not null)) execute function bookingdb.record_payment();

create trigger _bookingdb_payment_update after update of payment_reference on public.user_credits
for each row execute function bookingdb.record_payment();

create trigger _bookingdb_payment_delete after delete on public.user_credits
for each row execute function bookingdb.record_payment();

-- Transactions that keep their snapshot find out that hours, overrides, policies or absences changed. A statement
-- is judged as a whole, so that one for many therapists takes few locks.
create trigger _bookingdb_rules_insert after insert on bookingdb.weekly_hours
referencing new table as new_rows
for each statement execute function bookingdb.rules_changed();

create trigger _bookingdb_rules_update after update on bookingdb.weekly_hours
referencing old table as old_rows new table as new_rows
for each statement execute function bookingdb.rules_changed();

create trigger _bookingdb_rules_delete after delete on bookingdb.weekly_hours
referencing old table as old_rows
for each statement execute function bookingdb.rules_changed();

create trigger _bookingdb_rules_truncate after truncate on bookingdb.weekly_hours
for each statement execute function bookingdb.rules_changed();

create trigger _bookingdb_rules_insert after insert on bookingdb.therapists_with_hours
referencing new table as new_rows
for each statement execute function bookingdb.rules_changed();

create trigger _bookingdb_rules_update after update on bookingdb.therapists_with_hours
referencing old table as old_rows new table as new_rows
for each statement execute function bookingdb.rules_changed();

create trigger _bookingdb_rules_delete after delete on bookingdb.therapists_with_hours
referencing old table as old_rows
for each statement execute function bookingdb.rules_changed();

create trigger _bookingdb_rules_insert after insert on bookingdb.date_overrides
referencing new table as new_rows
for each statement execute function bookingdb.rules_changed();

create trigger _bookingdb_rules_update after update on bookingdb.date_overrides
referencing old table as old_rows new table as new_rows
for each statement execute function bookingdb.rules_changed();

create trigger _bookingdb_rules_delete after delete on bookingdb.date_overrides
referencing old table as old_rows
for each statement execute function bookingdb.rules_changed();

create trigger _bookingdb_rules_truncate after truncate on bookingdb.date_overrides
for each statement execute function bookingdb.rules_changed();

create trigger _bookingdb_rules_insert after insert on bookingdb.policies
referencing new table as new_rows
for each statement execute function bookingdb.rules_changed();

create trigger _bookingdb_rules_update after update on bookingdb.policies
referencing old table as old_rows new table as new_rows
for each statement execute function bookingdb.rules_changed();

create trigger _bookingdb_rules_delete after delete on bookingdb.policies
referencing old table as old_rows
for each statement execute function bookingdb.rules_changed();

create trigger _bookingdb_rules_truncate after truncate on bookingdb.policies
for each statement execute function bookingdb.rules_changed();

create trigger _bookingdb_rules_insert after insert on bookingdb.therapist_clients
referencing new table as new_rows
for each statement execute function bookingdb.rules_changed();

create trigger _bookingdb_rules_update after update on bookingdb.therapist_clients
referencing old table as old_rows new table as new_rows
for each statement execute function bookingdb.rules_changed();

create trigger _bookingdb_rules_delete after delete on bookingdb.therapist_clients
referencing old table as old_rows
for each statement execute function bookingdb.rules_changed();

create trigger _bookingdb_rules_insert after insert on bookingdb.absences
referencing new table as new_rows
for each statement execute function bookingdb.absences_changed();

create trigger _bookingdb_rules_update after update on bookingdb.absences
referencing old table as old_rows new table as new_rows
for each statement execute function bookingdb.absences_changed();

create trigger _bookingdb_rules_delete after delete on bookingdb.absences
referencing old table as old_rows
for each statement execute function bookingdb.absences_changed();

-- Few rows have mirrors. Postgres reads a WHEN clause at each statement, and a longer one would cost every
-- cancellation.
create trigger _bookingdb_mirrors_update after update on bookingdb.calendar
for each row when ((old.mirror_ids is not null)) execute function bookingdb.calendar_changed();

create trigger _bookingdb_mirrors_delete after delete on bookingdb.calendar
for each row when ((old.mirror_ids is not null)) execute function bookingdb.calendar_changed();

-- Evidence is not rewritten. The guard fires after an application's own BEFORE triggers, and so judges what is really
-- written.
create trigger _bookingdb_append_only after delete or update on bookingdb.ledger
for each row execute function bookingdb.refuse_change();

create trigger _bookingdb_append_only after delete or update on public.booking_audit_log
for each row execute function bookingdb.refuse_change();

create trigger _bookingdb_append_only after delete or update on bookingdb.erasures
for each row execute function bookingdb.refuse_change();

-- An erasure on record is done, whoever wrote it down.
create trigger _bookingdb_prepare before insert on bookingdb.erasures
for each row execute function bookingdb.prepare_erasure();

create trigger _bookingdb_erase after insert on bookingdb.erasures
for each row execute function bookingdb.person_erased();

create trigger _bookingdb_append_only after delete or update on bookingdb.texts
for each row execute function bookingdb.refuse_change();

create trigger _bookingdb_append_only after delete or update on bookingdb.rewritten_records
for each row execute function bookingdb.refuse_change();

create trigger _bookingdb_append_only after delete or update on bookingdb.merged_people
for each row execute function bookingdb.refuse_change();

create trigger _bookingdb_append_only after delete or update on bookingdb.acknowledgements
for each row execute function bookingdb.refuse_change();

create trigger _bookingdb_append_only after delete or update on bookingdb.adoption
for each row execute function bookingdb.refuse_change();

create trigger _bookingdb_append_only after delete or update on bookingdb.history
for each row execute function bookingdb.refuse_change();

-- A mark that is gone, or another person's, lets an old snapshot decide. Rules of a zone that are gone hide its change.
-- The functions of bookingdb update other columns.
create trigger _bookingdb_append_only after delete or update of person_id on bookingdb.rule_changes
for each row execute function bookingdb.refuse_change();

create trigger _bookingdb_append_only after delete or update of id, time_zone on bookingdb.time_zone_rules
for each row execute function bookingdb.refuse_change();

-- A dump's rows would be written down a second time by the triggers above. BEFORE, to speak before the primary key.
create trigger _bookingdb_no_restore before insert on bookingdb.history
for each row execute function bookingdb.refuse_restored_rows();

-- TRUNCATE fires no row trigger: it would empty a table behind the back of everything above.
create trigger _bookingdb_no_truncate before truncate on bookingdb.rule_changes
for each statement execute function bookingdb.refuse_change();

create trigger _bookingdb_no_truncate before truncate on bookingdb.rules
for each statement execute function bookingdb.refuse_change();

create trigger _bookingdb_no_truncate before truncate on bookingdb.therapists_with_hours
for each statement execute function bookingdb.refuse_change();

create trigger _bookingdb_no_truncate before truncate on bookingdb.time_zone_rules
for each statement execute function bookingdb.refuse_change();

create trigger _bookingdb_no_truncate before truncate on public.sessions
for each statement execute function bookingdb.refuse_change();

create trigger _bookingdb_no_truncate before truncate on public.user_credits
for each statement execute function bookingdb.refuse_change();

create trigger _bookingdb_no_truncate before truncate on bookingdb.absences
for each statement execute function bookingdb.refuse_change();

create trigger _bookingdb_no_truncate before truncate on bookingdb.calendar
for each statement execute function bookingdb.refuse_change();

create trigger _bookingdb_no_truncate before truncate on bookingdb.ledger
for each statement execute function bookingdb.refuse_change();

create trigger _bookingdb_no_truncate before truncate on public.booking_audit_log
for each statement execute function bookingdb.refuse_change();

create trigger _bookingdb_no_truncate before truncate on bookingdb.merged_people
for each statement execute function bookingdb.refuse_change();

create trigger _bookingdb_no_truncate before truncate on bookingdb.erasures
for each statement execute function bookingdb.refuse_change();

create trigger _bookingdb_no_truncate before truncate on bookingdb.texts
for each statement execute function bookingdb.refuse_change();

create trigger _bookingdb_no_truncate before truncate on bookingdb.rewritten_records
for each statement execute function bookingdb.refuse_change();

create trigger _bookingdb_no_truncate before truncate on bookingdb.acknowledgements
for each statement execute function bookingdb.refuse_change();

create trigger _bookingdb_no_truncate before truncate on bookingdb.adoption
for each statement execute function bookingdb.refuse_change();

create trigger _bookingdb_no_truncate before truncate on bookingdb.history
for each statement execute function bookingdb.refuse_change();
