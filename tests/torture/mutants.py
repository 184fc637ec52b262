"""Take one guard away at a time, in a scratch copy, and see which test notices: `python -m tests.torture.mutants`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import click

from bookingdb.install import source
from tests.torture import figures

ROOT = Path(__file__).parents[2]
CORE = "migrations/0001_core.sql"
PLANS = "migrations/0005_plans.sql"
NO_WAY_ROUND = "migrations/0007_no_way_round.sql"
HEAD = ("guard removed", "in", "noticed by")
BEGIN, END = "<!-- mutants: written by python -m tests.torture.mutants -->", "<!-- end of mutants -->"
# Where the test that a mutant names does not notice, these, until one does.
SELECTION = ("tests/rules",)
# Seconds; what has not been noticed by then has survived.
PATIENCE = 300


@dataclass(frozen=True)
class Mutant:
    """A guard, and how it is removed: what in which file becomes what. The file is below sql/, or a query's."""

    guard: str
    file: str
    old: str
    new: str
    # The name of the test that is expected to notice.
    test: str

    @property
    def path(self) -> str:
        """The file, from the root of the project."""
        return self.file if self.file.startswith("bookingdb/") else f"sql/{self.file}"


def _function(name: str) -> str:
    return next(file.path for file in source.load().engine if file.name == name)


EXCLUSION = "exclude using gist ({0} with =, {1} with &&)\nwhere (kind in ('session', 'hold')"
LOSER = "test_loser_of_a_race_sees_a_conflict_in_every_level"

MUTANTS = (
    Mutant(
        "trust, which a role has in one database", _function("role_is_trusted"),
        "'bookingdb.act_for_anyone()'::regprocedure::oid", "'public.get_credit_balance(uuid)'::regprocedure::oid",
        "test_role_trusted_in_one_database_is_a_stranger_in_another",
    ),
    Mutant(
        "whoever acts as a user is not trusted", _function("acts_for_anyone"),
        "coalesce(current_setting('bookingdb.acting_as', true), '') = ''", "true",
        "test_late_cancellation_of_an_actor_keeps_the_credit",
    ),
    Mutant(
        "nobody but a trusted caller acts as a user", _function("actor_id"),
        "v_acting_as is not null and bookingdb.role_is_trusted(bookingdb.effective_role())", "v_acting_as is not null",
        "test_untrusted_role_gains_nothing_by_the_setting",
    ),
    Mutant(
        "a logged-in user who names somebody else is nobody", _function("actor_id"),
        "lower(v_acting_as) <> lower(v_user_id)", "false", "test_untrusted_role_gains_nothing_by_the_setting",
    ),
    Mutant(
        "the records, which name who acts", _function("own_role"),
        "and coalesce(current_setting('bookingdb.acting_as', true), '') = ''", "",
        "test_direct_write_while_acting_names_the_user",
    ),
    Mutant(
        "no call lets an actor act as another user", _function("act_as"),
        "bookingdb.authorise_trusted()", "bookingdb.authorise_anyone()",
        "test_calls_of_an_actor_end_acting_for_nobody",
    ),
    Mutant(
        "a call of Python restores who acted before", "bookingdb/calls/sql/acting_as.sql",
        "j.acting_before, true", ":user_id, true",
        "test_transaction_of_the_caller_acts_as_before",
    ),
    Mutant(
        "a database that was not upgraded makes no call as a user", "bookingdb/calls/sql/acting_as.sql",
        "where j.is_judged", "where true", "test_database_that_was_not_upgraded_makes_no_call",
    ),
    Mutant(
        "nobody moves a session of somebody who is deactivated", _function("move_locked_session"),
        "    perform bookingdb.require_people(p_session.therapist_id, p_session.user_id);\n", "",
        "test_deactivated_people_keep_bookings_and_book_nothing",
    ),
    Mutant(
        "default privileges, which trust nobody", "bookingdb/install/sql/trust_nobody.sql",
        "and a.grantee <> p.proowner", "and false", "test_default_privileges_trust_nobody",
    ),
    Mutant(
        "the login, which counts and not its role", "bookingdb/install/owner.py",
        'connection.execute("set local session authorization default")', "pass", "test_set_role_hides_no_rights",
    ),
    Mutant(
        "roles that somebody can take on", "bookingdb/install/sql/lesser_owner.sql",
        "pg_has_role(l.name, m.oid, 'MEMBER')", "m.rolname = l.name",
        "test_more_rights_are_those_of_the_owner_and_others",
    ),
    Mutant(
        "rights that reach beyond one's own tables", "bookingdb/install/sql/lesser_owner.sql",
        "pg_has_role(session_user, g.role, 'MEMBER')", "false",
        "test_administrator_of_a_host_runs_no_owners_code",
    ),
    Mutant(
        "another role that has got the name of a trusted one", "bookingdb/install/sql/take_up_trust.sql",
        " and r.oid::text = t.role ->> 'oid'", "", "test_another_role_of_a_trusted_name_is_not_trusted",
    ),
    Mutant(
        "a function of ours that somebody else made", "bookingdb/install/installer.py",
        "if problem := scalar(connection, script.other_owners_query(source)):", "if problem := None:",
        "test_migrate_names_what_is_not_the_owners",
    ),
    Mutant(
        "a superuser's verify, which reads no table", "bookingdb/checks/verify.py",
        "_Comparison(connection, source, reads_tables=False)", "_Comparison(connection, source)",
        "test_superusers_verify_finds_what_was_planted",
    ),
    Mutant(
        "a trusted role loses all when it is trusted no longer", "grants.sql",
        "where to_jsonb(r.rolname) <@ (", "where false and to_jsonb(r.rolname) <@ (",
        "test_trust_command_gives_and_takes_all_that_goes_with_it",
    ),
    Mutant(
        "membership without inheritance is not carried over", "grants.sql",
        "where pg_has_role(m.oid, to_regrole('bookingdb_service'), 'USAGE')", "where true",
        "test_upgrade_carries_the_members_of_bookingdb_service_over",
    ),
    Mutant(
        "the locks of people", _function("try_lock_people"), "begin\n", "begin\n    return true;\n",
        "test_64_callers_of_one_slot_leave_one_winner_each_round",
    ),
    Mutant(
        "the order of a booking's locks", _function("lock_keys"),
        "least(v_first, v_second), greatest(v_first, v_second)", "v_first, v_second",
        "test_people_are_locked_in_one_order_whatever_their_part",
    ),
    Mutant(
        "the order of more people's locks", _function("lock_keys"),
        "array_agg(distinct bookingdb.person_key(p.id) order by bookingdb.person_key(p.id))",
        "array_agg(bookingdb.person_key(p.id))",
        "test_many_people_are_locked_in_one_order",
    ),
    Mutant(
        "the lock of a session's row", _function("lock_session"), "    for update skip locked;", ";",
        "test_second_change_finds_what_the_first_left",
    ),
    Mutant(
        "the constraint on a therapist's time", PLANS, EXCLUSION.format("therapist_id", "blocked"),
        EXCLUSION.format("therapist_id", "blocked").replace("'session', 'hold'", "'none'"), LOSER,
    ),
    Mutant(
        "the constraint on a client's time", PLANS, EXCLUSION.format("client_id", "period"),
        EXCLUSION.format("client_id", "period").replace("'session', 'hold'", "'none'"), LOSER,
    ),
    Mutant(
        "the proof that a session's rows are current", _function("require_current_rows"),
        "for key share", "",
        "test_session_deleted_meanwhile_is_not_inserted_unseen",
    ),
    Mutant(
        "the proof that a lot is current", _function("record_balance_change"), "for key share;", ";",
        "test_lot_deleted_meanwhile_is_not_inserted_unseen",
    ),
    Mutant(
        "the proof that hours and absences are current", _function("require_current_rules"),
        "where p.id is not null", "where false",
        "test_booking_does_not_overlook_a_committed_change",
    ),
    Mutant(
        "the mark of whoever changes hours", "triggers.sql",
        "after insert on bookingdb.weekly_hours\n", "after insert on bookingdb.holds\n",
        "test_booking_does_not_overlook_a_committed_change",
    ),
    Mutant(
        "the lock before the mark of whoever changes rules", _function("change_rules"),
        "lock_people(p_people,", "lock_people(p_people[:0],",
        "test_booking_during_a_change_of_rules_never_deadlocks",
    ),
    Mutant(
        "marks that nobody deletes", "triggers.sql",
        "after delete or update of person_id on bookingdb.rule_changes",
        "after update of person_id on bookingdb.rule_changes",
        "test_marks_and_rules_of_zones_stay",
    ),
    Mutant(
        "lots with credits that are never used up", _function("record_balance_change"),
        "and (new.status <> 'used' or new.credits_balance = 0)", "", "test_lot_with_credits_is_never_used_up",
    ),
    Mutant(
        "the client of a lot that changed hands", _function("return_credit"),
        "not v_is_theirs\n", "false\n",
        "test_credit_of_a_lot_that_changed_hands_goes_to_its_payer",
    ),
    Mutant(
        "the time that a moved session was booked for", _function("keys_over"), "where a.session_id = k.result_id",
        "where false", "test_key_of_a_session_moved_earlier_stays",
    ),
    Mutant(
        "the mark of a booking under a limit", _function("occupy_free_time"), "    ) < 1000;", "    ) < 0;",
        "test_limit_counts_what_was_booked_meanwhile",
    ),
    Mutant(
        "the new version of a lot that gets a grace lot", _function("open_grace_lot"),
        "where c.id = p_lot.id\n    returning", "where false\n    returning",
        "test_revoked_grant_leaves_no_returned_credit",
    ),
    Mutant(
        "the times that stay together", "triggers.sql",
        "zz_bookingdb_times_update before update on public.sessions",
        "zz_bookingdb_times_update before delete on public.sessions",
        "test_local_time_written_directly_moves_the_session",
    ),
    Mutant(
        "the times that must agree", _function("require_agreeing_times"), "if p_local\n", "if false\n",
        "test_new_session_that_contradicts_itself_is_refused",
    ),
    Mutant(
        "the length of a session", _function("require_agreeing_times"),
        "p_session.start_time >= p_session.end_time", "false",
        "test_direct_write_leaves_a_session_its_time",
    ),
    Mutant(
        "the start and end of a session", _function("times_together"),
        "bookingdb.occupies_time(v_new.status)", "false",
        "test_direct_write_leaves_a_session_its_time",
    ),
    Mutant(
        "the zone of a new session", _function("times_together"),
        "v_is_new and v_new.time_zone is null", "false",
        "test_new_session_keeps_the_zone_it_was_judged_by",
    ),
    Mutant(
        "the range of times that follow", _function("times_together"),
        "v_new.end_time is distinct from p_old.end_time and", "false and",
        "test_derived_time_out_of_range_is_refused",
    ),
    Mutant(
        "the report of sessions without a time", "bookingdb/checks/sql/contents/50_absurd_times.sql",
        "s.start_time < s.end_time\n            or coalesce(", "s.start_time < s.end_time\n            and coalesce(",
        "test_session_without_a_usable_time_is_a_finding",
    ),
    Mutant(
        "the end of absurd times", _function("has_place_in_time"),
        "interval '10080 minutes'", "interval '1000800 minutes'",
        "test_absurd_session_that_is_there_blocks_nobody",
    ),
    Mutant(
        "the ids of holds", _function("require_direct_sessions"), "c.kind = 'hold'", "false",
        "test_id_of_something_else_is_refused_by_the_table",
    ),
    Mutant(
        "the ids of absences", _function("require_direct_sessions"),
        "a.external_source is distinct from 'adoption'", "false", "test_id_of_something_else_is_refused_by_the_table",
    ),
    Mutant(
        "the grace that an approval keeps", _function("approve_session"),
        "v_session.free_cancellation_until > v_free_until", "false",
        "test_grace_of_a_request_outlasts_its_approval",
    ),
    Mutant(
        "the practice's move, which the audit log knows", _function("move_cancellation_terms"),
        "a.actor is distinct from a.user_id::text", "false", "test_grace_outlasts_a_move_that_needed_none",
    ),
    Mutant(
        "the mark of a lapse", _function("record_session_change"),
        " and c.is_lapsed", "", "test_cancellation_is_no_lapse_whatever_its_reason",
    ),
    Mutant(
        "the actor of a lapse in the ledger", _function("lapse_sessions"),
        "v_session, null, 'bookingdb'", "v_session", "test_lapse_is_nobodys_act_in_every_record",
    ),
    Mutant(
        "the wait for approval ends at the start", _function("keep_times_together"),
        "            new.approval_until := new.start_time;\n        end if;\n        return new;",
        "            null;\n        end if;\n        return new;", "test_wait_ends_at_the_start",
    ),
    Mutant(
        "the calendar row of a request, which lapses first", _function("times_over"),
        "                and k.expires_at is null\n", "", "test_housekeeping_finds_what_lapsed_long_ago",
    ),
    Mutant(
        "a client's sessions that an old snapshot hides", _function("mark_limited_booking"),
        "        if v_is_old then", "        if false then", "test_limit_of_one_counts_sessions_with_others",
    ),
    Mutant(
        "a therapist's sessions that an old snapshot hides", _function("mark_limited_booking"),
        "v_is_old and p_policy.therapist_id is not null", "false", "test_new_default_limit_counts_bookings_in_flight",
    ),
    Mutant(
        "the proof that what is taken is taken by the same", _function("require_current_calendar"),
        "select r.period from unnest(v_taken) as r (period)\n            ) as t",
        "select r.period from unnest(v_taken) as r (period) where false\n            ) as t",
        "test_limit_of_one_counts_sessions_with_others",
    ),
    Mutant(
        "how many sessions a client has elsewhere", _function("require_client_limits"),
        " - 'count'", "", "test_therapist_is_not_told_what_the_client_has_elsewhere",
    ),
    Mutant(
        "the cancellation terms of a direct move", _function("times_together"),
        "        if v_new.free_cancellation_until is distinct",
        "        if v_new.free_cancellation_until is not distinct",
        "test_free_cancellation_follows_a_direct_move",
    ),
    Mutant(
        "the row of an idempotency key", _function("record_answer"), "if p_answer.key is null then", "if true then",
        "test_a_key_with_other_parameters_is_refused",
    ),
    Mutant(
        "the parameters of an idempotency key", _function("find_earlier_answer"),
        "v_answer.request_hash <> v_request_hash", "false",
        "test_a_key_with_other_parameters_is_refused",
    ),
    Mutant(
        "the balance that cannot be negative", CORE, "check (credits_balance >= 0)", "check (credits_balance >= -9)",
        "test_a_lot_is_never_negative_whatever_is_switched_off",
    ),
    Mutant(
        # It stands four times, for the fast way and for the slow one: one of them alone guards nothing.
        "the look at the balance before a debit", _function("take_credit"), "credits_balance > 0",
        "credits_balance > -9", "test_a_booking_without_credits_is_refused",
    ),
    Mutant(
        "the session to come that a key answers with", _function("keys_over"),
        "s.id = k.result_id and (s.end_time > v_now) is not false", "false",
        "test_key_goes_when_it_is_old_and_its_session_over",
    ),
    Mutant(
        "the keys of credits that no payment guards", _function("keys_over"),
        "k.function_name not in ('grant_credits', 'grant_package')",
        "true", "test_key_of_credits_stays_unless_its_payment_guards_it",
    ),
    Mutant(
        "the key that answers with a hold", _function("holds_over"), "k.result_id = h.id", "false",
        "test_hold_stays_as_long_as_its_key",
    ),
    Mutant(
        "the rows that housekeeping leaves to others", _function("remove_rows"), "for update skip locked",
        "for update", "test_locked_row_is_left_for_the_next_run",
    ),
    Mutant(
        "the past that needs no calendar row", _function("sync_calendar"),
        "p_are_new or c.id is not null or s.end_time > clock_timestamp()", "true",
        "test_session_without_its_past_time_can_be_written",
    ),
    Mutant(
        "the order in which lots are spent", _function("take_credit"),
        "order by l.priority, l.expires_at asc nulls last", "order by l.priority, l.expires_at desc nulls first",
        "test_lot_that_expires_soonest_is_spent_first",
    ),
    Mutant(
        "a part of a charge that is taken and returned once", NO_WAY_ROUND, "unique (session_id, charge, part, kind)",
        "unique (id, session_id, charge, part, kind)", "test_session_has_one_debit_and_one_refund",
    ),
    Mutant(
        "at most one charge that is not returned", NO_WAY_ROUND, "unique (session_id, charge, part, kind)",
        "unique (session_id, charge, part, kind, lot_id)", "test_second_charge_at_the_same_time_is_refused",
    ),
    Mutant(
        "the number of the next charge", _function("take_credit"), "v_last.is_returned::integer", "1",
        "test_unreturned_charge_refuses_a_second_one",
    ),
    Mutant(
        "the order of charges in invariant 4", _function("check_charges"), "c.balance < 0 or", "false or",
        "test_charge_out_of_order_violates_the_fourth_invariant",
    ),
    Mutant(
        "the refusal to approve what was refunded", _function("approve_session"), "if v_charge.is_returned then",
        "if false then", "test_revived_session_is_paid_once_and_refunded_once",
    ),
    Mutant(
        "the lot that leaves the index with its last credit", _function("take_credit"),
        "case when c.credits_balance = 1 then 'used' else c.status end", "c.status",
        "test_last_credit_makes_a_lot_used",
    ),
    Mutant(
        "the index without the lots that are used up", NO_WAY_ROUND,
        "user_id, priority, expires_at, category desc, created_at, id\n) where status = 'active'",
        "user_id, priority, expires_at, category desc, created_at, id\n)", "test_booking_reads_no_used_lot",
    ),
    Mutant(
        "the status of a lot that is emptied or filled directly", _function("record_balance_change"),
        "if tg_op = 'INSERT' or (", "if false and (",
        "test_direct_writer_empties_and_fills_a_lot",
    ),
    Mutant(
        "the shorter way to the balance a statement opens with", _function("get_credit_statement"),
        "if p_from - v_first > clock_timestamp() - p_from then", "if false then",
        "test_statement_of_a_month_reads_about_a_month",
    ),
    Mutant(
        "the look for an earlier refund", _function("return_credit"),
        "continue when v_debit.kind is distinct from 'debit';", "",
        "test_revived_session_is_paid_once_and_refunded_once",
    ),
    Mutant(
        "the table of transitions", _function("require_transition"), "if not found then", "if false then",
        "test_status_leads_where_the_table_says_and_nowhere_else",
    ),
    Mutant(
        "the cut-off for a client's moves", _function("require_move_allowed"), "clock_timestamp() > v_latest", "false",
        "test_client_moves_a_session_before_the_window",
    ),
    Mutant(
        "how often a client moves a session", _function("require_move_allowed"),
        "v_moves >= p_policy.maximum_reschedules", "false", "test_client_moves_a_session_so_often_and_no_more",
    ),
    Mutant(
        "the credit that a therapist cannot give back by reopening", _function("cancel_locked_session"),
        "a.old_status in ('completed', 'no_show')", "false", "test_therapist_gives_no_credit_back_by_reopening",
    ),
    Mutant(
        "who may reopen what was cancelled", _function("reopen_session"),
        "if v_part = 'therapist' and", "if false and", "test_therapist_reopens_what_takes_no_credit",
    ),
    Mutant(
        "the credit that a reopened session takes again", _function("reopen_session"),
        "if v_charge.is_returned then", "if false then", "test_reopened_session_is_what_it_was_and_paid_again",
    ),
    Mutant(
        "the end of what is recorded as over", _function("record_session"),
        "if (p_status = 'in_progress') = (v_session.end_time <= v_now) then", "if false then",
        "test_record_of_what_goes_on_is_not_of_what_is_over",
    ),
    Mutant(
        "the client to whom a booking is answered again", _function("booked_session"),
        " and s.user_id = coalesce(p_user_id, s.user_id)", "",
        "test_session_of_another_client_by_now_is_not_answered",
    ),
    Mutant(
        "those with a part in a session of a series", _function("changed_series"),
        "(bookingdb.caller_is_trusted() or bookingdb.actor_id() in (s.user_id, s.therapist_id))", "true",
        "test_session_of_a_series_that_passed_on_is_left_out",
    ),
    Mutant(
        "those with a part in the session that a list leaves out", _function("find_session"),
        "perform bookingdb.authorise_for_session(v_session);", "null;",
        "test_check_without_a_session_is_for_those_with_a_part",
    ),
    Mutant(
        "the changes that a former therapist's calendar knows of", _function("remember_departure"),
        "sequence = excluded.sequence", "sequence = 1000", "test_session_that_comes_back_is_not_cancelled",
    ),
    Mutant(
        "the expiry of a hold", _function("book_hold"), " and c.expires_at > clock_timestamp()", "",
        "test_a_hold_that_ran_out_goes_to_who_came_for_its_slot",
    ),
    Mutant(
        "who may act for a client", _function("authorise"), "p_user_id <> v_actor_id", "false",
        "test_a_logged_in_user_acts_for_nobody_else",
    ),
    Mutant(
        "who has a part in a session", _function("authorise_for_session"),
        "perform bookingdb.raise_error('not_allowed'", "return 'client'; perform bookingdb.raise_error('not_allowed'",
        "test_stranger_to_a_session_does_not_wait_for_it",
    ),
    Mutant(
        "a revoke on the engine's functions", "grants.sql",
        "        where p.pronamespace = 'bookingdb'::regnamespace", "        where p.oid = 0",
        "test_no_internal_function_can_be_executed_by_anyone",
    ),
    Mutant(
        "the ledger that is only added to", "triggers.sql",
        "create trigger _bookingdb_append_only after delete or update on bookingdb.ledger",
        "create trigger _bookingdb_append_only after delete on bookingdb.ledger",
        "test_the_records_are_not_rewritten",
    ),
    Mutant(
        "the record of what superusers rewrote, which is only added to", "triggers.sql",
        "create trigger _bookingdb_append_only after delete or update on bookingdb.rewritten_records",
        "create trigger _bookingdb_append_only after update on bookingdb.rewritten_records",
        "test_a_superuser_empties_no_record_silently",
    ),
    Mutant(
        "the judgement of a change of evidence", _function("keeps_evidence"),
        "p_new is not distinct from p_old", "p_new is not distinct from p_old or p_table = 'bookingdb.history'",
        "test_owner_changes_no_evidence_by_plain_statements",
    ),
    *(
        Mutant(
            f"the invariant of {check}", _function("check_invariants"),
            f"    union all\n    select c.* from bookingdb.{check}() as c", "",
            "test_records_that_contradict_each_other_are_found",
        )
        for check in ("check_clients", "check_payment", "check_holds", "check_times", "check_rules")
    ),
    Mutant(
        "the lock of the last delivery of a line", _function("subjects_being_sent"),
        "where d.id = any (v_last)\n        for no key update skip locked", "where d.id = any (v_last)",
        "test_delivery_finished_while_its_successor_is_made",
    ),
    Mutant(
        "the events that wait for one before them", _function("relay_events"),
        "if v_event.subjects && v_blocked then", "if false then",
        "test_event_that_somebody_has_locked_waits_with_its_subject",
    ),
    Mutant(
        "the token of a claim", _function("finish_delivery"), "d.id = p_delivery_id and d.token = p_token",
        "d.id = p_delivery_id", "test_claim_whose_lease_ended_is_somebody_else_s",
    ),
    Mutant(
        "the turn of each destination", _function("claimable_deliveries"),
        "order by n.in_flight + f.place, f.due_at", "order by f.due_at",
        "test_slow_destination_leaves_the_others_their_turn",
    ),
    Mutant(
        "the privilege of a worker", _function("authorise_worker"), ") is not true then", ") is null then",
        "test_only_a_worker_gets_secrets",
    ),
    Mutant(
        "the invariant of check_deliveries", _function("check_invariants"),
        "    union all\n    select c.* from bookingdb.check_deliveries() as c", "",
        "test_line_that_stands_still_is_found",
    ),
    Mutant(
        "the calendar that follows direct writes", "triggers.sql",
        "create trigger _bookingdb_calendar_update after update on public.sessions\n"
        "for each statement execute function bookingdb.place_sessions();\n", "",
        "test_ending_status_frees_the_time_and_coming_back_takes_it",
    ),
    Mutant(
        "the look at the people of a booking", _function("require_people"), "begin\n", "begin\n    return;\n",
        "test_inactive_client_cannot_book",
    ),
    Mutant(
        "the start that is yet to come", _function("require_to_come"), "if p_start < clock_timestamp()", "if false",
        "test_a_session_may_start_this_minute_but_not_the_last",
    ),
    Mutant(
        "the minimum notice", _function("require_free_time"), "if lower(p_period) < lower(v_span) then",
        "if false then", "test_the_edges_of_notice_and_horizon",
    ),
    Mutant(
        "the opening hours", _function("require_free_time"), "if not v_is_open then", "if false then",
        "test_a_booking_that_waits_for_a_change_of_hours_obeys_them",
    ),
    Mutant(
        "the sessions that a day and a week may have", _function("require_free_time"),
        "if v_rule is null and least(", "if false and least(", "test_a_limit_is_not_passed_by_bookings_at_once",
    ),
    Mutant(
        "time off that came after a hold", _function("book_hold"), "    if found then", "    if false then",
        "test_hold_is_not_booked_when_the_therapist_went_away",
    ),
    Mutant(
        "who may act for a therapist", _function("authorise_therapist"),
        "p_therapist_id <> bookingdb.actor_id()", "false", "test_logged_in_user_may_do_their_own_part",
    ),
    Mutant(
        "claims that a login role set itself", _function("jwt_claims"), "if session_user <> 'authenticator'",
        "if false", "test_claims_that_a_login_role_sets_itself_do_not_count",
    ),
    Mutant(
        "the rows of sessions that a user sees", "row_security.sql",
        "        or (user_id = (select bookingdb.actor_id() as actor_id))\n"
        "        or (therapist_id = (select bookingdb.actor_id() as actor_id))",
        "        or true", "test_everybody_sees_only_their_own_rows",
    ),
    Mutant(
        "the status of a lot that is spent", _function("take_credit"), "status = 'active'", "status <> ''",
        "test_a_refunded_expired_or_foreign_credit_is_never_spent",
    ),
    Mutant(
        "the payment of somebody else", _function("find_granted_lot"), "if (v_lot.user_id <> p_user_id and",
        "if (false and", "test_a_payment_or_key_of_something_else_is_refused",
    ),
    Mutant(
        "the payment that was revoked", _function("find_granted_lot"), "if v_lot.status = 'revoked' then",
        "if false then", "test_a_revoked_payment_is_so_after_its_lot_was_deleted",
    ),
    Mutant(
        "the revocation that came before its grant", _function("record_payment"), "if v_payment.revoked_share > 0 then",
        "if false then", "test_a_revocation_is_remembered_until_the_grant",
    ),
    Mutant(
        "the chargeback that follows credits to another client", _function("lot_family"),
        "where t.source_lot_id = f.id", "where false", "test_chargeback_follows_transferred_credits",
    ),
    Mutant(
        "what is owed for a refund in part", _function("return_credit"), "v_lot.credits_owed = 0 then", "true then",
        "test_owed_credits_come_back_to_be_revoked",
    ),
    Mutant(
        "grace, which is given once", _function("open_grace_lot"), "(p_lot.grace_for_lot_id is not null or",
        "(false or", "test_grace_is_given_once",
    ),
    Mutant(
        "credits that must last until the session", _function("write_session"),
        "p_policy.credits_valid_on = 'session'", "false", "test_series_ends_where_the_credits_end",
    ),
    Mutant(
        "evidence that goes with an erasure alone", _function("is_erased"),
        "return exists (", "return true or exists (",
        "test_owner_blanks_no_evidence_without_an_erasure",
    ),
    Mutant(
        "the one time of a therapist who is a client", _function("mirror_time"), "begin\n", "begin\n    return;\n",
        "test_time_as_client_is_taken_as_therapist",
    ),
    Mutant(
        "one hold of a client with a therapist", PLANS, "create unique index calendar_hold_key",
        "create index calendar_hold_key", "test_client_has_one_hold_with_a_therapist",
    ),
    Mutant(
        "the older version that leaves a newer one's functions", "bookingdb/install/sql/pending.sql",
        "f.version_key > ", "false and f.version_key > ", "test_older_version_leaves_newer_functions",
    ),
    Mutant(
        "the age of function sets of one version", "bookingdb/install/sql/pending.sql",
        "s.first_id < f.first_id", "false", "test_function_set_that_was_replaced_is_the_older_one",
    ),
    Mutant(
        "the ledger of balances written while uninstalled", "bookingdb/install/sql/take_up.sql",
        "where coalesce(c.credits_balance, 0) <> coalesce(r.balance_after, 0)", "where false",
        "test_writes_meanwhile_are_taken_up_as_direct_ones",
    ),
    Mutant(
        "the record of evidence rewritten while uninstalled", "bookingdb/install/sql/take_up.sql",
        "where e.value <> v_found -> e.key", "where false", "test_evidence_rewritten_meanwhile_is_on_record",
    ),
    Mutant(
        "times written while uninstalled, which agree again", "bookingdb/install/sql/take_up_times.sql",
        "and v_new is distinct from v_row.session", "and false",
        "test_times_written_meanwhile_agree_as_for_direct_writers",
    ),
    Mutant(
        "kept tables that are looked for", "bookingdb/install/sql/pending.sql", "o.name || o.remark = k.object", "true",
        "test_kept_object_that_is_missing_is_named",
    ),
    Mutant(
        "the rows of a dump, refused where the triggers are", _function("refuse_restored_rows"),
        "< new.id is not true", "is null and false", "test_rows_are_not_restored_where_triggers_are",
    ),
    Mutant(
        "the schema without rows, in which nothing is installed", "bookingdb/install/sql/pending.sql",
        "case when not exists (select from bookingdb.history) then", "case when false then",
        "test_schema_without_rows_is_refused_with_the_ways_on",
    ),
    Mutant(
        "the sessions that depend on one that stays", _function("realign_sessions"), "while v_returning <> '{}' loop",
        "while false loop", "test_session_stays_where_its_agreed_time_is_taken",
    ),
    Mutant(
        "the rows locked before people by a realignment", _function("realign_sessions"),
        "perform bookingdb.lock_sessions(v_ids);", "null;",
        "test_realignment_waits_for_a_writer_of_the_session",
    ),
    Mutant(
        "the sessions let go before one is waited for", _function("try_lock_sessions"), "for update skip locked;",
        "for update;", "test_series_waits_while_it_holds_no_session",
    ),
    Mutant(
        "expired holds, which a series removes at once", _function("book_occurrences"),
        "remove_expired_holds(array[p_therapist_id, p_user_id]", "remove_expired_holds(array[]::uuid[]",
        "test_occurrence_that_is_skipped_undoes_no_removal",
    ),
    Mutant(
        "expired holds, which a series that moves removes at once", _function("move_locked_series"),
        "            select p.id\n", "            select null::uuid\n", "test_series_that_moves_later_clears_in_order",
    ),
    Mutant(
        "expired holds in the way of a merge's mirrors", _function("give_up_times"),
        "holds_within(array[p_into_id]", "holds_within(array[]::uuid[]",
        "test_merge_clears_the_way_of_mirrors_in_order",
    ),
    Mutant(
        "expired holds in the way of a statement", _function("sync_calendar"), "cardinality(v_changed_ids) > 1",
        "false", "test_sessions_of_one_statement_clear_in_order",
    ),
    Mutant(
        "expired holds in the way of a realignment", _function("realign_sessions"),
        "            where s.new_start_time is not null\n", "            where false\n",
        "test_realignment_clears_expired_holds_in_order",
    ),
    Mutant(
        "lots that a lapse does not wait for", _function("lapse_sessions"), "continue when cardinality(v_lot_ids) >",
        "continue when false and cardinality(v_lot_ids) >", "test_lapse_waits_for_no_lot",
    ),
    Mutant(
        "holds that expire during a call", _function("remove_expired_holds"), "lock_held_times(v_hold_ids)",
        "lock_held_times(array(select c.id from bookingdb.calendar as c where c.id = any (v_hold_ids)"
        " and c.expires_at <= clock_timestamp()))", "test_hold_that_expires_during_a_call_keeps_the_order",
    ),
    Mutant(
        "the order of a deleted person's holds", _function("forget_deleted_people"),
        "    perform bookingdb.remove_held_times(v_hold_ids);\n"
        "    delete from bookingdb.holds as h\n    where h.id = any (v_hold_ids) or h.therapist_id = any (v_gone);\n",
        "    delete from bookingdb.holds as h\n    where h.id = any (v_hold_ids) or h.therapist_id = any (v_gone);\n"
        "    perform bookingdb.remove_held_times(v_hold_ids);\n",
        "test_deletion_and_merge_share_holds",
    ),
    Mutant(
        "a change of a key that does not wait", _function("changes_keys"), "and i.indisunique and", "and false and",
        "test_a_change_of_a_key_is_refused_while_a_booking_runs",
    ),
    Mutant(
        "an erasure that holds the person and waits for no session", _function("prepare_erasure"), ", p_wait => false",
        "", "test_erasure_that_holds_the_person_waits_for_no_session",
    ),
    Mutant(
        "a payment whose reference was erased", _function("record_payment"),
        "where p.lot_id = new.id\n", "where true or p.lot_id = new.id\n",
        "test_payment_whose_reference_was_erased_never_grants_again",
    ),
    Mutant(
        "the rules that a session was agreed by", _function("sessions_off_time"),
        "m.start_time at time zone interval '0' + r.utc_offsets[width_bucket(m.start_time, r.starts_at)],",
        "m.local_time,",
        "test_contradictory_row_is_not_taken_for_a_zone_change",
    ),
    Mutant(
        "connections that keep old rules", _function("sessions_off_time"), "bookingdb.has_current_rules(z.time_zone)",
        "bookingdb.is_time_zone(z.time_zone)", "test_connection_that_keeps_old_rules_moves_nothing_back",
    ),
    Mutant(
        "every version of a zone's rules", _function("refresh_time_zones"), "v_zone.id := null;", "null;",
        "test_zone_whose_rules_change_twice_is_followed_twice",
    ),
    Mutant(
        "therapists in a lost zone left out", _function("find_available_therapists"),
        "where bookingdb.is_time_zone(z.name)", "where true",
        "test_therapist_in_a_lost_zone_is_left_out_of_the_search",
    ),
    Mutant(
        "the lost zone of a local time", _function("local_instant"), "invalid_parameter_value", "no_data_found",
        "test_call_that_needs_a_lost_zone_says_invalid_time_zone",
    ),
    Mutant(
        "the lost zone of a therapist asked in another", _function("resolve_time_zone"),
        "if p_time_zone is distinct from p_otherwise then", "if false then",
        "test_call_that_needs_a_lost_zone_says_invalid_time_zone",
    ),
    Mutant(
        "sessions that are not truncated", "triggers.sql",
        "create trigger _bookingdb_no_truncate before truncate on public.sessions\n"
        "for each statement execute function bookingdb.refuse_change();\n", "", "test_truncate_is_refused",
    ),
)  # fmt: skip


def scratch_copy(folder: Path) -> None:
    """Copy what git knows of, which is all that the tests need."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)


def find_test(name: str) -> str:
    """Where a test is, as pytest calls it. Raises ValueError where there is none or more than one of the name."""
    files = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests").rglob("test_*.py")
        if re.search(rf"^(?:async )?def {name}\(", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    if len(files) != 1:
        raise ValueError(f"{name} is in {files or 'no file'}")
    return f"{files[0]}::{name}"


def apply(mutant: Mutant, folder: Path) -> None:
    """Remove the guard. Raises ValueError where it is not to be found."""
    path = folder / mutant.path
    text = path.read_text(encoding="utf-8")
    if mutant.old not in text:
        raise ValueError(f"{mutant.guard}: {mutant.path} has nowhere {mutant.old!r}")
    path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")


def killer(mutant: Mutant, folder: Path) -> str | None:
    """The first test that fails without the guard; None where none does."""
    apply(mutant, folder)
    deadline = time.monotonic() + PATIENCE
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    for tests in (find_test(mutant.test), *SELECTION):
        try:
            ran = subprocess.run(
                [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", tests],
                cwd=folder, env=environment, capture_output=True, text=True, check=False,
                timeout=max(1.0, deadline - time.monotonic()),
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return None
        if ran.returncode > 1:
            # No test ran at all, which is no sign of anything: a name that is gone, a mutant that does not install.
            raise click.ClickException(f"{mutant.guard}: {tests}: {ran.stdout[-2000:]}{ran.stderr[-2000:]}")
        if ran.returncode == 1:
            found = re.search(r"^FAILED \S+?::(\w+)", ran.stdout, re.MULTILINE)
            if found is None:
                raise click.ClickException(f"{mutant.guard}: {tests}: {ran.stdout[-2000:]}")
            return found[1]
    return None


@click.command()
@click.argument("guard", nargs=-1)
def main(guard: tuple[str, ...]) -> None:
    """Remove each guard (or those whose name has one of these words), and write down who noticed."""
    survived = 0
    for mutant in MUTANTS:
        if guard and not any(word in mutant.guard for word in guard):
            continue
        with tempfile.TemporaryDirectory(prefix="bookingdb-mutant-") as name:
            scratch_copy(Path(name))
            found = killer(mutant, Path(name))
        survived += found is None
        killed_by = f"`{found}`" if found else "**nobody**"
        cells = (mutant.guard, f"`{mutant.path}`", killed_by)
        click.echo(figures.row(cells))
        # One at a time: what was found is kept, whatever becomes of the rest.
        figures.write_row(BEGIN, END, HEAD, cells, [other.guard for other in MUTANTS])
    sys.exit(survived > 0)


if __name__ == "__main__":
    main()
