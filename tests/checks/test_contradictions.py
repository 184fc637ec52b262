"""Records that contradict each other are found, whoever wrote them, and repaired or acknowledged."""

from __future__ import annotations

import re
from dataclasses import dataclass
from uuid import UUID

import pytest
from psycopg.conninfo import make_conninfo

from bookingdb.checks import acknowledgements, verify
from bookingdb.checks.finding import Finding
from tests.support import TOMORROW, World, connect, run
from tests.support.life import at, call

# What a superuser writes while no trigger fires; {ada} and {bob} are clients, {session} is Ada's, {lot} paid for it,
# {hold} is hers, too. After the colon: the invariant, what the finding is about, and how its problem begins.
CONTRADICTIONS = {
    "lot of another client": (
        "update user_credits set user_id = '{bob}' where id = '{lot}'",
        "7: {lot}", "lot belongs to another client than its last ledger entry",
    ),
    "lot that passes on with credits in it": (
        "insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor) values"
        " ('{bob}', '{lot}', 'direct', 1, 3, 'x'), ('{ada}', '{lot}', 'direct', -1, 2, 'x')",
        "7: {lot}", "ledger entries pass the lot on with credits in it",
    ),
    "debit of another client": (
        "update bookingdb.ledger set user_id = '{bob}' where kind in ('grant', 'debit') and lot_id = '{lot}';"
        " update user_credits set user_id = '{bob}' where id = '{lot}';"
        " update bookingdb.idempotency_keys set user_id = '{bob}' where result_id = '{lot}'",
        "7: {session}", "ledger entry names a client that the session never had",
    ),
    "session of another client": (
        "update sessions set user_id = '{bob}' where id = '{session}';"
        " update bookingdb.calendar set client_id = '{bob}' where id = '{session}'",
        "7: {session}", "last audit row names another client than the session",
    ),
    "audit row of another client": (
        "update booking_audit_log set user_id = '{bob}' where session_id = '{session}'",
        "7: {session}", "last audit row names another client than the session",
    ),
    "key of another client": (
        "update bookingdb.idempotency_keys set user_id = '{bob}' where result_id = '{session}'",
        "7: {session}", "idempotency key answers with what another client has",
    ),
    "key of another client's grant": (
        "update bookingdb.idempotency_keys set user_id = '{bob}' where result_id = '{lot}'",
        "7: {lot}", "idempotency key answers with what another client has",
    ),
    "charged session that says it was free": (
        "update sessions set credits_charged = 0 where id = '{session}'",
        "8: {session}", "session that was charged says that it cost nothing",
    ),
    "refund of a session that takes place": (
        "insert into bookingdb.ledger (user_id, lot_id, session_id, kind, amount, balance_after, actor)"
        " values ('{ada}', '{lot}', '{session}', 'refund', 1, 3, 'x');"
        " update user_credits set credits_balance = 3 where id = '{lot}'",
        "8: {session}", "session that was not cancelled got its credits back",
    ),
    "refund of a session that took place": (
        "insert into bookingdb.ledger (user_id, lot_id, session_id, kind, amount, balance_after, actor)"
        " values ('{ada}', '{lot}', '{session}', 'refund', 1, 3, 'x');"
        " update user_credits set credits_balance = 3 where id = '{lot}';"
        " update sessions set status = 'completed' where id = '{session}';"
        " delete from bookingdb.calendar where id = '{session}';"
        " update booking_audit_log set new_status = 'completed' where session_id = '{session}'",
        "8: {session}", "session that was not cancelled got its credits back",
    ),
    "lot with credits that says it is used up": (
        "update user_credits set status = 'used' where id = '{lot}'",
        "3: {lot}", "credits in a lot that is used up",
    ),
    "hold without its calendar row": (
        "delete from bookingdb.calendar where id = '{hold}'",
        "9: {hold}", "hold has no calendar row",
    ),
    "calendar row without its hold": (
        "delete from bookingdb.holds where id = '{hold}'",
        "9: {hold}", "calendar row of a hold that is not there",
    ),
    "calendar row of a released hold": (
        "update bookingdb.holds set released_at = now() where id = '{hold}'",
        "9: {hold}", "calendar row of a hold that was given up",
    ),
    "hold at another time": (
        "update bookingdb.holds set start_time = start_time + interval '1 hour', end_time = end_time"
        " + interval '1 hour' where id = '{hold}'",
        "9: {hold}", "calendar row differs from its hold",
    ),
    "hold of another client": (
        "update bookingdb.holds set user_id = '{bob}' where id = '{hold}'",
        "9: {hold}", "calendar row differs from its hold",
    ),
    "hold that lasts longer than its calendar row": (
        "update bookingdb.holds set expires_at = expires_at + interval '1 hour' where id = '{hold}'",
        "9: {hold}", "calendar row differs from its hold",
    ),
    "local time that is not the start's": (
        "update sessions set scheduled_time = '11:30' where id = '{session}'",
        "10: {session}", "local time differs from the start",
    ),
    "local time in another zone": (
        "update sessions set time_zone = 'Asia/Tokyo' where id = '{session}'",
        "10: {session}", "local time differs from the start",
    ),
    "duration that is not the session's": (
        "update sessions set duration_minutes = 90 where id = '{session}'",
        "10: {session}", "duration differs from start and end",
    ),
    "rules that no policy has": (
        "update bookingdb.rules set buffer_after = '1 hour'"
        " where therapist_id = '00000000-0000-0000-0000-000000000000'",
        "11: 00000000-0000-0000-0000-000000000000", "effective rules differ from policies, hours and overrides",
    ),
    "interval of another unit": (
        "update bookingdb.rules set cancellation_window = '1 day'"
        " where therapist_id = '00000000-0000-0000-0000-000000000000'",
        "11: 00000000-0000-0000-0000-000000000000", "effective rules differ from policies, hours and overrides",
    ),
    "rules of somebody without any": (
        "insert into bookingdb.rules select (jsonb_populate_record(r, '{{\"therapist_id\": \"{ada}\"}}')).*"
        " from bookingdb.rules as r limit 1",
        "11: {ada}", "effective rules differ from policies, hours and overrides",
    ),
    "no rules for a therapist's policy": (
        "insert into bookingdb.policies (therapist_id) values ('{ada}')",
        "11: {ada}", "effective rules differ from policies, hours and overrides",
    ),
}  # fmt: skip


@dataclass
class Practice:
    """A database in which Ada has booked a session, with a key, and holds another time."""

    world: World
    names: dict[str, UUID]

    def write_unseen(self, statement: str) -> None:
        """Write as a superuser, while no trigger fires."""
        with connect(make_conninfo(self.world.url, user="postgres")) as superuser:
            run(superuser, f"set session_replication_role = replica; {statement.format(**self.names)}")


@pytest.fixture
def practice(world: World) -> Practice:
    therapist, ada, bob = world.therapist(), world.client(), world.client()
    lot = call(world.connection, "grant_credits", user_id=ada, amount=3, idempotency_key="paid")["lot_id"]
    session = world.book(ada, therapist, idempotency_key="first")["id"]
    hold = call(
        world.connection, "hold_slot", user_id=ada, therapist_id=therapist, session_date=at(15).date(),
        session_time=at(15).time(), duration_minutes=60,
    )["id"]  # fmt: skip
    return Practice(world, {"ada": ada, "bob": bob, "lot": lot, "session": session, "hold": hold})


def put_right(world: World, findings: list[Finding]) -> None:
    """Do what the findings advise, and acknowledge what nothing repairs."""
    for finding in findings:
        for command in re.findall(r"`([^`]+)`", finding.remedy):
            world.run(command)
    left = verify.verify(world.connection)
    if left:
        acknowledgements.acknowledge(world.connection, left, "looked at")


def test_practice_is_sound_until_somebody_writes_unseen(practice: Practice) -> None:
    assert verify.verify(practice.world.connection) == []


@pytest.mark.parametrize("contradiction", CONTRADICTIONS)
def test_records_that_contradict_each_other_are_found(practice: Practice, contradiction: str) -> None:
    statement, about, problem = CONTRADICTIONS[contradiction]

    practice.write_unseen(statement)

    findings = verify.verify(practice.world.connection)
    assert {(finding.object, finding.problem.partition(" {")[0]) for finding in findings} == {
        (about.format(**practice.names), problem)
    }
    put_right(practice.world, findings)
    assert verify.verify(practice.world.connection) == []


def test_lot_filled_after_its_expiry_is_found(world: World) -> None:
    client = world.client(credits=2)
    world.run("update user_credits set expires_at = now()")
    world.run("select * from expire_credits()")
    world.run("update user_credits set credits_balance = 2, expires_at = null")
    assert world.balance(client) == 0

    findings = verify.verify(world.connection)
    assert [finding.problem.partition(" {")[0] for finding in findings] == ["credits in a lot that is expired"]
    put_right(world, findings)
    assert verify.verify(world.connection) == []
    assert world.balance(client) == 2


@pytest.fixture
def refunded(practice: Practice) -> Practice:
    """Ada's session was cancelled, and is scheduled again by a plain statement: it takes place for nothing."""
    call(practice.world.connection, "cancel_session", session_id=practice.names["session"])
    practice.world.run("update sessions set status = 'scheduled' where id = %s", practice.names["session"])
    return practice


def test_session_that_was_charged_again_returns_its_credit(refunded: Practice) -> None:
    world, names = refunded.world, refunded.names
    assert world.balance(names["ada"]) == 3
    put_right(world, verify.verify(world.connection))
    assert world.balance(names["ada"]) == 2
    assert world.run("select kind from bookingdb.ledger where charge = 2") == [("debit",)]
    assert verify.verify(world.connection) == []

    assert call(world.connection, "cancel_session", session_id=names["session"])["refunded"]
    assert world.balance(names["ada"]) == 3
    assert verify.verify(world.connection) == []


def test_acknowledged_session_may_go_on(refunded: Practice) -> None:
    world, session = refunded.world, refunded.names["session"]
    acknowledgements.acknowledge(world.connection, verify.verify(world.connection), "free of charge")
    assert verify.verify(world.connection) == []
    call(world.connection, "confirm_session", session_id=session)
    assert verify.verify(world.connection) == []
    world.run("update sessions set status = 'completed' where id = %s", session)
    assert verify.verify(world.connection) == []


def test_clients_that_are_merged_contradict_nothing(practice: Practice) -> None:
    """Clients are merged: lots, sessions and all become another client's, by plain statements."""
    world, names = practice.world, practice.names
    world.run("update user_credits set user_id = %s", names["bob"])
    world.run("update sessions set user_id = %s", names["bob"])
    world.run("select release_hold(%s)", names["hold"])
    assert world.violations() == []

    call(world.connection, "cancel_session", session_id=names["session"])

    assert world.balance(names["bob"]) == 3
    assert verify.verify(world.connection) == []


def test_second_of_two_equal_local_times_is_no_contradiction(world: World) -> None:
    """A direct writer may mean the second 02:30 of the night in which clocks go back; nobody else can say it."""
    night = "2027-10-31 01:30:00+00"
    world.run(
        "insert into sessions (user_id, therapist_id, start_time, end_time, scheduled_date, scheduled_time,"
        " duration_minutes, time_zone, status) values (%s, %s, %s, %s::timestamptz + interval '1 hour', '2027-10-31',"
        " '02:30', 60, 'Europe/Berlin', 'scheduled')",
        world.client(), world.therapist("Europe/Berlin"), night, night,
    )  # fmt: skip
    assert world.scalar("select start_time = %s from sessions", night)
    assert verify.verify(world.connection) == []


def test_session_that_is_over_may_contradict_itself(practice: Practice) -> None:
    practice.write_unseen("update sessions set status = 'completed', duration_minutes = 90 where id = '{session}'")
    assert 10 not in [row[0] for row in practice.world.violations()]


def test_hold_that_became_a_session_needs_no_hold_row(practice: Practice) -> None:
    world, hold = practice.world, practice.names["hold"]
    world.run("select id from book_hold(%s)", hold)
    assert world.violations() == []
    world.run("delete from sessions where id = %s", hold)
    assert world.violations() == []


def test_hold_that_expires_while_verify_runs_is_no_finding(world: World) -> None:
    hold = world.scalar("select id from hold_slot(%s, %s, %s, '10:00')", world.client(), world.therapist(), TOMORROW)
    with world.connection.transaction():
        world.run("select now()")
        # Expired by the clock, and not by the transaction's time.
        world.run("update bookingdb.holds set expires_at = clock_timestamp() where id = %s", hold)
        world.run("delete from bookingdb.calendar where id = %s", hold)

        assert world.violations() == []
