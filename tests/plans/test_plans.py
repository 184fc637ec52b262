"""How what is called is planned: by indexes, on the statistics of empty tables, too.

A connection keeps its plans. One that was opened on a new database would go on reading whole tables long after they
have filled, if its plans were made by their sizes.
"""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.support import TOMORROW, Connection, World, book, run, scalar
from tests.support.calls import CALLS, PEOPLE_CALLS, make_people, make_scene
from tests.support.deliveries import webhook
from tests.support.interleaving import holding
from tests.support.plans import explained, read_whole, read_without_condition, used

# 100 therapists with a client and four hours each.
MANY_PEOPLE = """
    insert into users (user_type, is_verified)
    select case when n % 2 = 0 then 'user' else 'therapist' end, true from generate_series(1, 200) as n
"""
MANY_SESSIONS = """
    with t as (select id, row_number() over () as n from users where user_type = 'therapist'),
    c as (select id, row_number() over () as n from users where user_type = 'user')
    insert into sessions (therapist_id, user_id, start_time, end_time)
    select t.id, c.id, d, d + interval '1 hour' from t join c using (n)
    cross join generate_series(current_date + 7, current_date + 7 + interval '3 hours', interval '1 hour') as d
"""


@pytest.fixture
def emptied(world: World) -> World:
    """Tables that Postgres knows to be empty, but for people and credits."""
    with world.connect(user=world.superuser) as superuser:
        run(superuser, "vacuum analyze")
    return world


def life(connection: Connection, client: UUID, therapist: UUID) -> None:
    """Book, move, hold, confirm and cancel."""
    booked = book(connection, client, therapist, idempotency_key="first")["id"]
    book(connection, client, therapist, idempotency_key="first")
    run(connection, "select reschedule_session(%s, %s, '15:00')", booked, TOMORROW)
    run(connection, "select confirm_session(%s)", booked)
    held = scalar(connection, "select id from hold_slot(%s, %s, %s, '18:00', 60)", client, therapist, TOMORROW)
    run(connection, "select book_hold(%s)", held)
    run(connection, "select cancel_session(%s)", booked)
    with pytest.raises(psycopg.Error):
        book(connection, client, therapist, "18:30")


def direct_writes(connection: Connection, client: UUID, therapist: UUID) -> None:
    """Insert, move and delete as an application may."""
    session = uuid4()
    insert = "insert into sessions (id, user_id, therapist_id, start_time, end_time) values (%s, %s, %s, %s, %s)"
    run(connection, insert, session, client, therapist, moment(20), moment(21))
    run(connection, "update sessions set start_time = %s where id = %s", moment(19), session)
    run(connection, "delete from sessions where id = %s", session)


def moment(hour: int) -> dt.datetime:
    return dt.datetime.combine(TOMORROW, dt.time(hour), dt.UTC)


def credits(connection: Connection, client: UUID, _therapist: UUID) -> None:
    """Grant, look, take back."""
    lot = scalar(connection, "select lot_id from grant_credits(%s, 2, p_idempotency_key => 'second')", client)
    run(connection, "select get_credit_balance(%s)", client)
    run(connection, "select * from get_credit_history(%s)", client)
    run(connection, "select * from get_credit_statement(%s, now() - interval '1 day', now())", client)
    run(connection, "select adjust_credits(%s, -1, 'a test')", client)
    run(connection, "select revoke_grant(%s)", lot)


def free(connection: Connection, _client: UUID, therapist: UUID) -> None:
    """Ask what is free, with hours and without."""
    questions: list[tuple[str, Any]] = [
        ("select check_booking_conflict(%s, current_date + 1, '10:00', '11:00')", therapist),
        ("select * from list_available_slots(%s, current_date + 1, current_date + 2)", therapist),
        ("select * from list_slot_states(%s, current_date + 1, current_date + 2)", therapist),
        ("select * from next_available_slot(%s)", therapist),
        ("select * from find_available_therapists(now(), now() + '1 day', 60, array[%s]::uuid[])", therapist),
    ]
    hours = '[{"weekday": 1, "start_time": "08:00", "end_time": "20:00"}]'
    for _ in range(2):
        for question, of in questions:
            run(connection, question, of)
        run(connection, "select set_weekly_hours(%s, %s)", therapist, hours)


def free_for(connection: Connection, client: UUID, therapist: UUID) -> None:
    """Ask what is free for a client who holds something, and for a session that is to be moved."""
    session = book(connection, client, therapist, "16:00")["id"]
    run(connection, "select hold_slot(%s, %s, %s, '18:00', 60)", client, therapist, TOMORROW)
    run(connection, "select set_policy('{\"maximum_sessions_per_day\": 9}', %s)", therapist)
    dates = "current_date + 1, current_date + 3, p_exclude_session_id => %s, p_user_id => %s"
    for function in ("list_available_slots", "list_slot_states", "list_available_days"):
        run(connection, f"select * from {function}(%s, {dates})", therapist, session, client)
    next_one = "select * from next_available_slot(%s, p_exclude_session_id => %s, p_user_id => %s)"
    run(connection, next_one, therapist, session, client)
    with pytest.raises(psycopg.Error):
        book(connection, client, therapist, "18:30")


def the_rest(connection: Connection, client: UUID, therapist: UUID) -> None:
    """Call what the others do not."""
    run(connection, "select set_policy('{\"maximum_sessions_per_day\": 9}', %s)", therapist)
    run(connection, "select * from get_policy(%s)", therapist)
    run(connection, "select get_weekly_hours(%s)", therapist)
    off = scalar(connection, "select id from add_time_off(%s, %s, %s)", therapist, moment(8), moment(9))
    run(connection, "select list_time_off(%s, %s, %s)", therapist, moment(0), moment(23))
    run(connection, "select list_calendar_changes(%s, %s, %s)", therapist, moment(0), moment(23))
    run(connection, "select remove_time_off(%s)", off)
    run(connection, "select set_date_override(%s, current_date + 5)", therapist)
    run(connection, "select list_date_overrides(%s, current_date, current_date + 9)", therapist)
    run(connection, "select list_opening_hours(%s, current_date, current_date + 9)", therapist)
    run(connection, "select list_available_days(%s, current_date, current_date + 9)", therapist)
    events = f'[{{"external_id": "a", "start_time": "{moment(6).isoformat()}", "end_time": "{moment(7).isoformat()}"}}]'
    run(connection, "select sync_external_busy(%s, 'a', %s)", therapist, events)
    run(connection, "select book_session_with_override(%s, %s, current_date + 5, '10:00')", client, therapist)
    ((first,), _) = run(connection, "select (book_series(%s, %s, %s, '11:00', 2)).id", client, therapist, TOMORROW)
    run(connection, "select reschedule_series(%s, %s, '12:00')", first, TOMORROW)
    run(connection, "select cancel_series(%s)", first)
    held = scalar(connection, "select id from hold_slot(%s, %s, %s, '15:00', 60)", client, therapist, TOMORROW)
    scalar(connection, "select id from hold_slot(%s, %s, %s, '16:00', 60)", client, therapist, TOMORROW)
    run(connection, "select release_hold(%s)", held)
    run(connection, "select lock_for_booking(array[%s, %s]::uuid[])", client, therapist)
    pending = uuid4()
    insert = (
        "insert into sessions (id, user_id, therapist_id, start_time, end_time, status)"
        " values (%s, %s, %s, %s, %s, 'pending_approval')"
    )
    run(connection, insert, pending, client, therapist, moment(17), moment(18))
    run(connection, "select approve_session(%s)", pending)
    insert = "insert into sessions (id, user_id, therapist_id, start_time, end_time) values (%s, %s, %s, %s, %s)"
    day = dt.timedelta(days=4)
    run(connection, insert, first := uuid4(), client, therapist, moment(10) - day, moment(11) - day)
    run(connection, "select start_session(%s)", first)
    run(connection, "select complete_session(%s)", first)
    run(connection, insert, second := uuid4(), client, therapist, moment(12) - day, moment(13) - day)
    run(connection, "select mark_no_show(%s)", second)
    run(connection, "select reopen_session(%s)", second)
    given = scalar(
        connection, "select id from book_session_with_override(%s, %s, current_date + 7, '9:00')", client, therapist
    )
    colleague = scalar(connection, "select register_therapist('e@f.example')")
    run(connection, "select transfer_session(%s, %s, p_override => '{all}')", given, colleague)
    run(connection, "select record_session(%s, %s, current_date - 5, '10:00')", client, therapist)
    overriding = "select book_session_with_override(%s, %s, current_date + 6, '10:00', p_override => '{all}')"
    run(connection, overriding, client, therapist)
    run(connection, "select * from grant_credits(%s, 2, p_expires_at => now() + '1 second')", client)
    run(connection, "select * from expire_credits()")
    run(connection, "select register_client('a@b.example')")
    registered = scalar(connection, "select register_therapist('c@d.example')")
    run(connection, "select set_therapist_active(%s, false)", registered)


@pytest.mark.parametrize(
    "what", [life, direct_writes, credits, free, free_for, the_rest], ids=lambda what: what.__name__
)
def test_new_database_has_no_plan_that_reads_a_whole_table(emptied: World, what: Any) -> None:
    therapist, client = emptied.therapist(), emptied.client(credits=9)
    with explained(emptied) as (connection, plans):
        what(connection, client, therapist)

    assert len(plans) > 10
    assert read_whole(plans) == set()
    assert read_without_condition(plans) == set()


def test_new_database_answers_every_public_function_by_index(emptied: World) -> None:
    """Of the examples, which tests/rules/access/test_session_calls.py holds to be of all public functions."""
    people, scene = make_people(emptied), make_scene(emptied)
    examples = [(function, arguments, people) for function, arguments in PEOPLE_CALLS.items()]
    examples += [(function, example.arguments, scene) for function, example in CALLS.items()]
    unplanned, whole, unconditional = set(), {}, {}
    with explained(emptied) as (connection, plans):
        for function, arguments, values in examples:
            plans.clear()
            with connection.transaction(force_rollback=True):
                connection.execute(f"select * from public.{function}({arguments})".encode(), values)
            if not plans:
                unplanned.add(function)
            if read_whole(plans):
                whole[function] = read_whole(plans)
            if read_without_condition(plans):
                unconditional[function] = read_without_condition(plans)

    # One asks about every hold in the calendar, the other for a page of the sessions without a start. An erasure reads
    # the audit log once, and whatever else knows people by more than one column; an export, the lots.
    expected = {
        "erase_person": {
            "booking_audit_log_session_id_entry_idx", "erasures_person_id_idx", "sessions_pkey",
            "sessions_approval_until_idx",
        },
        "export_person": {"user_credits_pkey"},
        "housekeeping": {"calendar_hold_key"},
        "list_sessions": {"sessions_undated_idx"},
        # Destinations are few, and events that nobody handled are what a relay asks for.
        "deliveries_status": {"destinations_name_key"},
        "list_destinations": {"destinations_name_key"},
        "relay_events": {"destinations_pkey"},
    }  # fmt: skip
    assert (unplanned, unconditional) == (set(), expected)
    reading_all = {"erase_person", "export_person"}
    # A practice sells few packages, and has few destinations. Holds have no index by their people, which would cost
    # every hold: housekeeping keeps them few, and a merge is rare.
    small = {
        "list_packages": {"packages"}, "set_package": {"packages"},
        "merge_clients": {"holds"}, "change_login": {"holds"},
        **{name: {"destinations"} for name in ("claim_deliveries", "join_session")},
        # Rules of reminders are few, too.
        "list_reminder_rules": {"reminder_rules"},
        **{
            name: {"destinations", "reminder_rules"}
            for name in ("relay_events", "set_destination", "set_reminder_rule")
        },
    }  # fmt: skip
    assert {function: tables for function, tables in whole.items() if function not in reading_all} == small


def test_booking_looks_at_no_destination(emptied: World) -> None:
    """Ten of them, and the worker stopped, cost a booking nothing: what it writes is one event."""
    therapist, client = emptied.therapist(), emptied.client(credits=9)
    for number in range(10):
        webhook(emptied.connection, f"crm-{number}")
    with explained(emptied) as (connection, plans):
        book(connection, client, therapist)
        run(connection, "select relay_events()")
        relayed = str(plans)
        plans.clear()
        book(connection, client, therapist, "12:00")

    assert "deliveries" in relayed
    assert plans
    assert "deliveries" not in str(plans)
    assert "destinations" not in str(plans)


def test_a_plan_that_reads_a_whole_table_is_seen(emptied: World) -> None:
    with explained(emptied) as (connection, plans):
        run(connection, "do 'begin perform count(*) from public.sessions; end'")

    assert read_whole(plans) == {"sessions"}


def test_stale_statistics_keep_the_index_of_the_person(world: World) -> None:
    """Taken while the rows were not committed: pages there are, and nothing in them."""
    with holding(world) as writer, world.connect(user=world.superuser) as superuser:
        run(writer, MANY_PEOPLE)
        run(writer, MANY_SESSIONS)
        run(superuser, "analyze bookingdb.calendar, sessions")
        run(writer, "commit")
    statistics = world.run("select reltuples, relpages > 0 from pg_class where oid = 'bookingdb.calendar'::regclass")
    assert statistics == [(0, True)], "somebody else has taken statistics"

    with explained(world) as (connection, plans):
        run(connection, "update sessions set start_time = start_time + '1 hour', end_time = end_time + '1 hour'")

    assert {"calendar_therapist_excl", "calendar_client_excl"} <= used(plans)
    assert read_whole(plans) == set()
    assert read_without_condition(plans) == set()


def test_an_index_that_is_read_without_a_condition_is_seen(emptied: World) -> None:
    with explained(emptied) as (connection, plans):
        run(connection, "set enable_seqscan = off")
        run(connection, "do 'begin perform from public.users order by id; end'")

    assert read_without_condition(plans) == {"users_pkey"}


def test_invariants_read_no_table_for_each_row_of_another(emptied: World) -> None:
    with explained(emptied) as (connection, plans):
        book(connection, emptied.client(credits=9), emptied.therapist())
        plans.clear()
        assert run(connection, "select * from bookingdb.check_invariants()") == []

    assert len(plans) > 5
    assert [plan for plan in plans if "Nested Loop" in plan or "SubPlan" in plan] == []
