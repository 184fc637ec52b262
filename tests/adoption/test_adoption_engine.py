"""What the engine does with the rows of an adopted database: its log, its balances, its sessions that overlap."""

from __future__ import annotations

import datetime as dt
import random
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
import pytest

from bookingdb.adoption.damage import LOT_STATUSES
from bookingdb.adoption.readings import ACTIVE, STATUSES
from bookingdb.checks import verify
from bookingdb.install import installer, source
from tests.support import TOMORROW, Connection, World, connect, run
from tests.support.life import call, expire_lot, require_sound, rows
from tests.support.refusals import nothing_written, outcome, refused

HOUR = dt.timedelta(hours=1)
OVERLAPPING = "select session_id, reason from bookingdb.overlapping_sessions order by 1"
STAND_INS = "select id from bookingdb.absences where kind = 'external' and external_source = 'adoption' order by 1"


def at(hour: int, minute: int = 0) -> dt.datetime:
    """Return an instant of the day on which the tests book."""
    return dt.datetime.combine(TOMORROW, dt.time(0), dt.UTC) + dt.timedelta(hours=hour, minutes=minute)


@contextmanager
def before_adoption(world: World) -> Iterator[Connection]:
    """A connection whose writes no trigger sees: what it writes was there before bookingdb was."""
    with connect(psycopg.conninfo.make_conninfo(world.url, user=world.superuser)) as connection:
        run(connection, "set session_replication_role = replica")
        yield connection


def old_session(
    world: World, client: UUID | None, therapist: UUID | None, hour: int, minute: int = 0, status: str = "scheduled"
) -> UUID:
    """Write a session of an hour as it was before the adoption, with the log's entry that the adoption makes."""
    with before_adoption(world) as connection:
        ((session,),) = run(
            connection,
            "insert into sessions (user_id, therapist_id, start_time, end_time, status, created_at)"
            " values (%s, %s, %s, %s, %s, clock_timestamp()) returning id",
            *(client, therapist, at(hour, minute), at(hour, minute) + HOUR, status),
        )
        adopt(connection, session, status)
    assert isinstance(session, UUID)
    return session


def adopt(connection: Connection, session: UUID, status: str | None) -> None:
    run(
        connection,
        "insert into booking_audit_log (session_id, action, new_status, actor) values (%s, 'adopted', %s, 'owner')",
        *(session, status),
    )


def place(world: World) -> int:
    placed = world.scalar("select bookingdb.place_adopted_sessions()")
    assert isinstance(placed, int)
    return placed


def problems(world: World) -> list[Any]:
    return world.run("select invariant, subject_id, problem from bookingdb.check_invariants() order by 1, 2, 3")


# ----------------------------------------------------------------------------------------------------------------------
# The audit log
# ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def with_uuids(world: World) -> World:
    """A database whose audit log has uuids for ids, as an application's own may have."""
    world.run("alter table booking_audit_log alter column id drop identity")
    world.run(
        "alter table booking_audit_log alter column id type uuid using gen_random_uuid(),"
        " alter column id set default gen_random_uuid()"
    )
    return world


def test_the_entries_of_a_log_with_uuids_are_in_order(with_uuids: World) -> None:
    world = with_uuids
    client, therapist = world.client(credits=8), world.therapist()
    for hour in range(8, 16):
        session = world.book(client, therapist, f"{hour:02}:00")["id"]
        world.run("update sessions set status = 'confirmed' where id = %s", session)
        call(world.connection, "cancel_session", session_id=session)

    assert world.violations() == []
    assert world.run("select count(distinct entry), min(entry), max(entry) from booking_audit_log") == [(24, 1, 24)]


def test_sequences_of_any_name_are_nobodys(with_uuids: World) -> None:
    world = with_uuids
    world.run("alter table booking_audit_log add column mine bigserial")
    world.run("grant all on all sequences in schema public to public")

    with world.connect() as connection:
        installer.migrate(connection, reapply=True)

    sequences = (
        "select c.relname, has_sequence_privilege('app_servers', c.oid, 'usage') from pg_class as c"
        " where c.relkind = 'S' and c.relnamespace = 'public'::regnamespace order by 1"
    )
    assert world.run(sequences) == [("booking_audit_log_entry_seq", False), ("booking_audit_log_mine_seq", False)]


def test_audit_rows_from_before_adoption_need_not_chain(world: World) -> None:
    client, therapist = world.client(), world.therapist()
    with before_adoption(world) as connection:
        ((session, gone),) = run(connection, "select gen_random_uuid(), gen_random_uuid()")
        run(
            connection,
            "insert into sessions (id, user_id, therapist_id, start_time, end_time) values (%s, %s, %s, %s, %s)",
            *(session, client, therapist, at(10), at(11)),
        )
        run(connection, "alter table booking_audit_log alter column session_id drop not null")
        for session_id, old_status, new_status in (
            (session, "confirmed", "scheduled"), (session, "confirmed", "scheduled"), (session, None, None),
            (gone, "scheduled", "scheduled"), (gone, None, "cancelled"), (None, None, "scheduled"),
        ):  # fmt: skip
            run(
                connection,
                "insert into booking_audit_log (session_id, action, old_status, new_status, actor)"
                " values (%s, 'something', %s, %s, 'app')",
                *(session_id, old_status, new_status),
            )
        adopt(connection, session, "scheduled")
        run(connection, "insert into booking_audit_log (session_id, action, actor) values (null, 'something', 'app')")
    place(world)

    assert problems(world) == []
    world.run("update sessions set status = 'confirmed' where id = %s", session)
    call(world.connection, "cancel_session", session_id=session)
    assert problems(world) == []

    # From there on a gap is one.
    entry = "insert into booking_audit_log (session_id, action, new_status, actor) values (%s, 'x', 'cancelled', 'x')"
    world.run(entry, session)
    world.run(entry, gone)
    assert [(number, subject) for number, subject, _ in problems(world)] == sorted([(5, session), (5, gone)])


def test_a_session_that_is_adopted_again_begins_again(world: World) -> None:
    session = old_session(world, world.client(), world.therapist(), 10)
    place(world)
    world.run("update sessions set status = 'confirmed' where id = %s", session)
    with before_adoption(world) as connection:
        run(connection, "update sessions set status = 'scheduled' where id = %s", session)
        assert [number for number, *_ in problems(world)] == [5]
        adopt(connection, session, "scheduled")

    assert problems(world) == []


def test_session_without_a_status_takes_no_time_and_is_audited(world: World) -> None:
    world.run("alter table sessions alter column status drop not null")
    client, therapist = world.client(credits=1), world.therapist()
    values = (client, therapist, at(10), at(11))
    insert = "insert into sessions (user_id, therapist_id, start_time, end_time, status) values (%s, %s, %s, %s, null)"
    session = world.scalar(f"{insert} returning id", *values)

    assert world.count("bookingdb.calendar") == 0
    for function, parameters in (
        ("reschedule_session", {"session_date": TOMORROW, "session_time": "12:00"}), ("approve_session", {}),
        ("cancel_session", {}), ("confirm_session", {}),
    ):  # fmt: skip
        with nothing_written(world), refused("invalid_transition"):
            call(world.connection, function, session_id=session, **parameters)
    world.run("update sessions set status = 'scheduled' where id = %s", session)
    with refused("booking_conflict"):
        world.book(client, therapist)
    world.run("update sessions set status = null where id = %s", session)
    assert world.book(client, therapist)["status"] == "scheduled"
    assert world.run("select action, old_status, new_status from booking_audit_log where session_id = %s", session) == [
        ("created", None, None), ("status_changed", None, "scheduled"), ("status_changed", "scheduled", None),
    ]  # fmt: skip
    assert world.violations() == []


# ----------------------------------------------------------------------------------------------------------------------
# Opening balances
# ----------------------------------------------------------------------------------------------------------------------


def old_lot(world: World, client: UUID, balance: int) -> UUID:
    """Write a lot as it was before the adoption, with the ledger's entry that the adoption makes."""
    with before_adoption(world) as connection:
        ((lot,),) = run(
            connection,
            "insert into user_credits (user_id, credits_balance, credits_purchased) values (%s, %s, %s) returning id",
            *(client, balance, balance),
        )
        run(
            connection,
            "insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor)"
            " values (%s, %s, 'opening', %s, %s, 'owner')",
            *(client, lot, balance, balance),
        )
    assert isinstance(lot, UUID)
    return lot


def test_opening_balance_is_spent_returned_and_expires(world: World) -> None:
    client, therapist = world.client(), world.therapist()
    lot = old_lot(world, client, 5)
    assert world.balance(client) == 5
    session = world.book(client, therapist)["id"]
    world.book(client, therapist, "12:00")
    assert call(world.connection, "cancel_session", session_id=session)["refunded"]
    world.run("update user_credits set credits_balance = 3 where id = %s", lot)
    require_sound(world)

    revoked = call(world.connection, "revoke_grant", lot_id=lot)
    assert (revoked["credits_revoked"], revoked["credits_spent"]) == (3, 1)
    kinds = [("opening", 5), ("debit", -1), ("debit", -1), ("refund", 1), ("direct", -1), ("revocation", -3)]
    assert world.run("select kind, amount from bookingdb.ledger order by id") == kinds
    assert [row["kind"] for row in rows(world.connection, "get_credit_history", user_id=client)][-1] == "opening"

    other = world.client()
    expire_lot(world.connection, old_lot(world, other, 2))
    assert (world.balance(other), call(world.connection, "expire_credits")["credits"]) == (0, 2)
    require_sound(world)


def test_a_statement_shows_an_opening_balance_as_an_entry(world: World) -> None:
    client = world.client()
    lot = old_lot(world, client, 5)

    lines = rows(
        world.connection, "get_credit_statement",
        user_id=client, **{"from": at(0) - 240 * HOUR, "to": at(0)},
    )  # fmt: skip

    assert [(line["kind"], line["amount"], line["balance"], line["lot_id"]) for line in lines] == [
        ("opening", None, 0, None), ("opening", 5, 5, lot), ("closing", None, 5, None),
    ]  # fmt: skip
    assert lines[1]["entry_id"] is not None


def test_an_opening_balance_comes_before_everything_else(world: World) -> None:
    client = world.client(credits=1)
    world.run(
        "insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor)"
        " select user_id, lot_id, 'opening', 1, 2, actor from bookingdb.ledger"
    )
    with before_adoption(world) as connection:
        run(connection, "update user_credits set credits_balance = 2 where user_id = %s", client)

    assert [(number, problem) for number, _, problem in problems(world)] == [(3, "ledger entries do not chain")]


# ----------------------------------------------------------------------------------------------------------------------
# Sessions that overlap
# ----------------------------------------------------------------------------------------------------------------------


class Overlap:
    """Two old sessions of one therapist and two clients, of which the first has the time and the second none."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.therapist = world.therapist()
        self.first_client, self.client = world.client(credits=2), world.client(credits=2)
        self.placed = old_session(world, self.first_client, self.therapist, 10)
        self.session = old_session(world, self.client, self.therapist, 10, 30)
        assert place(world) == 1
        assert world.run(OVERLAPPING) == [(self.session, "booking_conflict")]
        assert self.is_stood_in_for

    @property
    def is_stood_in_for(self) -> bool:
        """Whether it is recorded and has its stand-in; both, or neither."""
        recorded = self.world.run("select session_id from bookingdb.overlapping_sessions")
        assert recorded == self.world.run(STAND_INS)
        return bool(recorded)


@pytest.fixture
def overlap(world: World) -> Overlap:
    return Overlap(world)


def test_overlapping_session_is_sound_and_listed(overlap: Overlap) -> None:
    world = overlap.world

    assert world.violations() == []
    assert world.run("select id from bookingdb.unplaced_sessions()") == [(overlap.session,)]
    assert [finding for finding in verify.verify(world.connection) if finding.group != "contents"] == []


@pytest.mark.parametrize("function", ["book", "hold", "check", "slots", "direct"])
def test_its_time_is_not_given_to_others(overlap: Overlap, function: str) -> None:
    world = overlap.world
    # After the session that has its place.
    other, time = world.client(credits=1), "11:00"
    if function == "check":
        check = "select check_booking_conflict(%s, %s, %s, %s)"
        assert world.run(check, overlap.therapist, TOMORROW, time, "11:30") == [(True,)]
        assert world.run(check, overlap.therapist, TOMORROW, "11:30", "12:00") == [(False,)]
        return
    if function == "slots":
        slots = rows(
            world.connection, "list_available_slots",
            therapist_id=overlap.therapist, duration_minutes=60, **{"from": TOMORROW, "to": TOMORROW},
        )  # fmt: skip
        starts = [slot["start_time"] for slot in slots if at(8) <= slot["start_time"] < at(12)]
        assert (starts[:5], starts[5]) == ([at(8, 15 * n) for n in range(5)], at(11, 30))
        return
    with nothing_written(world), refused("booking_conflict"):
        if function == "book":
            world.book(other, overlap.therapist, time)
        elif function == "hold":
            call(
                world.connection, "hold_slot",
                user_id=other, therapist_id=overlap.therapist, session_date=TOMORROW, session_time=time,
            )  # fmt: skip
        else:
            world.run(
                "insert into sessions (user_id, therapist_id, start_time, end_time) values (%s, %s, %s, %s)",
                *(other, overlap.therapist, at(11), at(12)),
            )


@pytest.mark.parametrize("function", ["book", "hold", "direct", "client only"])
def test_its_client_has_no_time_either(overlap: Overlap, function: str) -> None:
    world, other = overlap.world, overlap.world.therapist()
    elsewhere = world.book(world.client(credits=1), other, "11:00", duration_minutes=15)["id"]
    with nothing_written(world), refused("client_conflict"):
        if function == "book":
            world.book(overlap.client, other, "11:15", duration_minutes=15)
        elif function == "hold":
            call(
                world.connection, "hold_slot",
                user_id=overlap.client, therapist_id=other, session_date=TOMORROW, session_time="11:15",
                duration_minutes=15,
            )  # fmt: skip
        elif function == "direct":
            world.run(
                "insert into sessions (user_id, therapist_id, start_time, end_time) values (%s, %s, %s, %s)",
                *(overlap.client, other, at(11, 15), at(12)),
            )
        else:
            world.run("update sessions set user_id = %s where id = %s", overlap.client, elsewhere)
    # What touches it does not overlap it.
    assert world.book(overlap.client, other, "11:30", duration_minutes=15)["status"] == "scheduled"


def test_while_it_stays_as_it_is_it_is_left_alone(overlap: Overlap) -> None:
    world = overlap.world

    world.run("update sessions set description = 'new notes', title = 'x' where id = %s", overlap.session)
    world.run("update sessions set start_time = start_time, updated_at = now()")
    # It goes on taking place.
    for status in ("confirmed", "in_progress"):
        world.run("update sessions set status = %s where id = %s", status, overlap.session)
        assert overlap.is_stood_in_for
        assert world.violations() == []
    assert world.scalar("select count(*) from booking_audit_log where session_id = %s", overlap.session) == 4


ENDINGS = {
    "completed": "update sessions set status = 'completed' where id = %s",
    "cancelled": "update sessions set status = 'cancelled' where id = %s",
    "without status": "update sessions set status = null where id = %s",
    "deleted": "delete from sessions where id = %s",
    "moved": "update sessions set start_time = start_time + interval '5 hours',"
    " end_time = end_time + interval '5 hours' where id = %s",
    "shortened": "update sessions set start_time = start_time + interval '30 minutes' where id = %s",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_changed_overlapping_session_is_an_ordinary_one(overlap: Overlap, ending: str) -> None:
    world = overlap.world
    world.run("alter table sessions alter column status drop not null")

    world.run(ENDINGS[ending], overlap.session)

    assert not overlap.is_stood_in_for
    assert world.violations() == []
    if ending == "shortened":
        assert world.count("bookingdb.calendar where kind = 'session'") == 2
        with refused("booking_conflict"):
            world.book(world.client(credits=1), overlap.therapist, "11:00")
    else:
        assert world.book(world.client(credits=1), overlap.therapist, "11:00", duration_minutes=30)


def test_with_another_therapist_it_has_its_place(overlap: Overlap) -> None:
    world = overlap.world

    world.run("update sessions set therapist_id = %s where id = %s", world.therapist(), overlap.session)

    assert not overlap.is_stood_in_for
    assert world.violations() == []
    assert world.count("bookingdb.unplaced_sessions()") == 0


@pytest.mark.parametrize("change", ["start_time = start_time + interval '5 minutes'", "user_id = %s"])
def test_a_change_that_leaves_it_overlapping_is_refused(overlap: Overlap, change: str) -> None:
    world = overlap.world
    parameters = [world.client()] if "%s" in change else []

    with nothing_written(world), refused("booking_conflict"):
        world.run(f"update sessions set {change} where id = %s", *parameters, overlap.session)

    assert overlap.is_stood_in_for


def test_it_takes_its_place_once_the_other_one_is_gone(overlap: Overlap) -> None:
    world = overlap.world
    call(world.connection, "cancel_session", session_id=overlap.placed)
    assert overlap.is_stood_in_for
    with refused("booking_conflict"):
        world.book(world.client(credits=1), overlap.therapist, "10:30")

    later = "start_time = start_time - interval '5 minutes'"
    world.run(f"update sessions set {later} where id = %s", overlap.session)

    assert not overlap.is_stood_in_for
    assert world.count("bookingdb.unplaced_sessions()") == 0
    assert world.violations() == []


@pytest.mark.parametrize("time", ["14:00", "11:00"])
def test_it_is_rescheduled_also_into_its_own_time(overlap: Overlap, time: str) -> None:
    world = overlap.world

    moved = call(
        world.connection, "reschedule_session",
        session_id=overlap.session, session_date=TOMORROW, session_time=time, time_zone="UTC",
    )  # fmt: skip

    assert moved["start_time"] == at(int(time[:2]))
    assert not overlap.is_stood_in_for
    require_sound(world)


def test_it_is_not_rescheduled_to_where_it_overlaps(overlap: Overlap) -> None:
    world = overlap.world

    with nothing_written(world), refused("booking_conflict"):
        call(
            world.connection, "reschedule_session",
            session_id=overlap.session, session_date=TOMORROW, session_time="10:45", time_zone="UTC",
        )  # fmt: skip

    assert overlap.is_stood_in_for


@pytest.mark.parametrize(("function", "status"), [("cancel_session", "cancelled"), ("confirm_session", "confirmed")])
def test_its_life_goes_on_by_the_functions(overlap: Overlap, function: str, status: str) -> None:
    world = overlap.world

    assert call(world.connection, function, session_id=overlap.session)["status"] == status

    assert overlap.is_stood_in_for is (status == "confirmed")
    require_sound(world)


def test_nobody_takes_its_stand_in_away(overlap: Overlap) -> None:
    world = overlap.world
    with nothing_written(world), refused("invalid_parameter") as refusal:
        call(world.connection, "sync_external_busy", therapist_id=overlap.therapist, source="adoption", events="[]")
    assert refusal.detail["parameter"] == "p_source"

    call(
        world.connection, "sync_external_busy",
        therapist_id=overlap.therapist, source="work", events="[]", **{"from": at(0), "to": at(24)},
    )  # fmt: skip
    with refused("time_off_not_found"):
        world.run("select remove_time_off(%s)", overlap.session)
    assert overlap.is_stood_in_for


@pytest.mark.parametrize(
    "damage",
    [
        "delete from bookingdb.absences",
        "delete from bookingdb.overlapping_sessions",
        "delete from bookingdb.calendar where kind = 'session'",
        "update bookingdb.absences set client_id = null",
        "update bookingdb.absences set period = tstzrange(lower(period), lower(period) + '1 minute')",
        "update bookingdb.overlapping_sessions set end_time = end_time + interval '1 minute'",
    ],
)
def test_a_record_a_stand_in_and_a_session_belong_together(overlap: Overlap, damage: str) -> None:
    overlap.world.run(damage)

    assert [number for number, *_ in problems(overlap.world)] == [2]


def test_a_record_of_nothing_is_found(world: World) -> None:
    world.run(
        "insert into bookingdb.overlapping_sessions (session_id, start_time, end_time, reason)"
        " values (gen_random_uuid(), now(), now() + interval '1 hour', 'booking_conflict')"
    )

    assert [number for number, *_ in problems(world)] == [2]


# ----------------------------------------------------------------------------------------------------------------------
# Who has the time
# ----------------------------------------------------------------------------------------------------------------------


def test_earlier_created_session_has_the_time(world: World) -> None:
    therapist, other, clients = world.therapist(), world.therapist(), [world.client() for _ in range(4)]
    # The second overlaps the first, the third only the second; the fourth has the third's client.
    first = old_session(world, clients[0], therapist, 10)
    second = old_session(world, clients[1], therapist, 10, 30)
    third = old_session(world, clients[2], therapist, 11)
    fourth = old_session(world, clients[2], other, 11, 30)
    old_session(world, clients[3], therapist, 10, status="cancelled")
    alone = old_session(world, None, therapist, 15)

    assert place(world) == 3

    assert sorted(world.run("select id from bookingdb.calendar where kind = 'session'")) == sorted(
        [(first,), (third,), (alone,)]
    )
    assert world.run(OVERLAPPING) == sorted([(second, "booking_conflict"), (fourth, "client_conflict")])
    assert world.violations() == []
    # Done again, there is nothing to do.
    with nothing_written(world):
        assert place(world) == 0


def test_session_in_the_calendar_comes_before_adopted_ones(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=2)
    world.run("select set_policy('{\"buffer_after_minutes\": 30}', %s)", therapist)
    world.book(client, therapist, "10:00", duration_minutes=60)
    in_the_buffer = old_session(world, world.client(), therapist, 11)
    of_the_client = old_session(world, client, world.therapist(), 9, 30)
    # It overlaps only one that has no place.
    after = old_session(world, world.client(), therapist, 11, 30)

    assert place(world) == 1

    assert world.run(OVERLAPPING) == sorted([(in_the_buffer, "booking_conflict"), (of_the_client, "client_conflict")])
    around = "select id from bookingdb.calendar where blocked && tstzrange(%s, %s)"
    assert world.run(around, at(12), at(12, 30)) == [(after,)]


def test_only_the_owner_places(world: World) -> None:
    role = "app_servers"
    privilege = "select has_function_privilege(%s, 'bookingdb.place_adopted_sessions()', 'execute')"
    assert world.run(privilege, role) == [(False,)]


def by_brute_force(sessions: list[tuple[Any, ...]]) -> dict[UUID, str]:
    """Who is left without a place: each, in order, is held against all that have theirs."""
    taken: dict[tuple[str, UUID], list[tuple[dt.datetime, dt.datetime]]] = defaultdict(list)
    skipped = {}
    for id_, therapist, client, start, end in sessions:
        for part, person, reason in (
            ("therapist", therapist, "booking_conflict"), ("client", client, "client_conflict"),
        ):  # fmt: skip
            if any(start < other_end and other_start < end for other_start, other_end in taken[part, person]):
                skipped[id_] = reason
                break
        else:
            taken["therapist", therapist].append((start, end))
            taken["client", client].append((start, end))
    return skipped


@pytest.mark.slow
@pytest.mark.parametrize(("number", "therapists"), [(3_000, 3), (60_000, 600)])
def test_exactly_the_sessions_that_fit_have_a_place(world: World, number: int, therapists: int) -> None:
    seed = random.randrange(1_000_000)
    with before_adoption(world) as connection:
        run(connection, f"select setseed({seed} / 1000000.0)")
        # As many as fill a third of the time of each therapist.
        run(
            connection,
            f"insert into sessions (user_id, therapist_id, start_time, end_time, status, created_at)"
            f" select md5('c' || (random() * {number} / 10)::integer)::uuid,"
            f" md5('t' || (random() * {therapists})::integer)::uuid,"
            f" s.start_time, s.start_time + interval '5 minutes' * (1 + (random() * 11)::integer),"
            " (array['scheduled', 'confirmed', 'completed', 'pending_approval'])[1 + (random() * 3)::integer],"
            " timestamptz '2020-01-01' + interval '1 second' * (random() * 100000)::integer"
            f" from (select timestamptz '2030-01-01' + interval '5 minutes'"
            f" * (random() * {number // therapists * 20})::integer as start_time"
            f" from generate_series(1, {number})) as s",
        )
        sessions = run(
            connection,
            "select id, therapist_id, user_id, start_time, end_time from sessions where status <> 'completed'"
            " order by created_at, id",
        )
    constraints = "select conname, pg_get_constraintdef(oid), convalidated from pg_constraint where contype = 'x'"
    before = sorted(world.run(constraints))

    placed = place(world)

    skipped = by_brute_force(sessions)
    assert dict(world.run(OVERLAPPING)) == skipped, seed
    assert 0 < len(skipped) < len(sessions) / 2
    assert placed == len(sessions) - len(skipped) == world.count("bookingdb.calendar where kind = 'session'")
    assert [problem for problem in problems(world) if problem[0] < 3] == []
    # The guarantee is as it was.
    assert sorted(world.run(constraints)) == before
    id_, *rest = next(session for session in sessions if session[0] not in skipped)
    assert outcome(
        partial(
            world.run,
            "insert into bookingdb.calendar (kind, therapist_id, client_id, period, blocked)"
            " select 'session', %s, %s, p, p from tstzrange(%s, %s) as p",
            *rest,
        )
    ) == "23P01", id_  # fmt: skip


def test_the_plan_knows_the_statuses_that_the_database_knows(world: World) -> None:
    for table, statuses in (("sessions", STATUSES), ("user_credits", LOT_STATUSES)):
        check = source.load().catalogue["constraints"][f"{table}_status_check on public.{table}"]["definition"]
        (listed,) = re.findall(r"'{(.+)}'", check)
        assert set(listed.split(",")) == set(statuses)
    occupying = world.run("select s from unnest(%s::text[]) as s where bookingdb.occupies_time(s)", list(STATUSES))
    assert {status for (status,) in occupying} == set(ACTIVE)
