"""A database of an earlier version, in use, becomes one of this version: whatever was there keeps its word."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import DictRow

from bookingdb.checks import verify
from bookingdb.install import export, installer, source
from tests.support import TOMORROW, Connection, World, connect, run, scalar
from tests.support.callers import acting, logged_in
from tests.support.databases import hosts_database, server_fixture
from tests.support.hosts import HOSTS, Host
from tests.support.life import call, expire_lot, require_sound
from tests.support.refusals import outcome, refused
from tests.support.upgrade import CLIENTS, VERSIONS

pytestmark = pytest.mark.slow

MIGRATIONS = [file.name for file in source.load().migrations]
DAY = dt.timedelta(days=1)
HOUR = dt.timedelta(hours=1)
LATER = TOMORROW + 10 * DAY
WITH_HOURS, WITHOUT_SELFTEST_PEOPLE, WITH_TRUST = "0003_availability", "0006_one_house", "0007_no_way_round"
WITH_ANCHOR = "0008_a_practices_day"


def by_migrate(connection: Connection) -> None:
    applied = run(connection, "select name from bookingdb.history where kind = 'migration' order by id")
    assert installer.migrate(connection).migrations == MIGRATIONS[len(applied) :]
    assert installer.migrate(connection).is_empty


def by_script(connection: Connection) -> None:
    run(connection, export.sql_script())
    assert installer.migrate(connection).is_empty


@dataclass
class Before:
    """What the earlier version was asked, and what it answered."""

    world: World
    therapist: UUID
    client: UUID
    answers: dict[str, tuple[str, dict[str, Any], DictRow]] = field(default_factory=dict)

    def ask(self, name: str, function: str, **parameters: Any) -> DictRow:
        """Ask with an idempotency key, which is the name."""
        parameters["idempotency_key"] = name
        answer = call(self.world.connection, function, **parameters)
        self.answers[name] = (function, parameters, answer)
        return answer

    def book(self, name: str, time: str, date: dt.date = LATER, **options: Any) -> DictRow:
        return self.ask(
            name, "create_session_with_credit_deduction",
            user_id=self.client, therapist_id=self.therapist, session_date=date, session_time=time, **options,
        )  # fmt: skip

    def id_of(self, name: str) -> UUID:
        id_ = self.answers[name][2]["id"]
        assert isinstance(id_, UUID)
        return id_


@cache
def in_use(version: str, host: Host, server_url: str) -> Before:
    """A database of an earlier version, with bookings, grants, keys, and what others wrote directly; to be copied."""
    url = host.create_database(server_url, f"before_{version}_{host.name}")
    with connect(make_conninfo(url, user=host.superuser)) as superuser:
        # Earlier versions trusted the members of this role.
        if not run(superuser, "select oid from pg_roles where rolname = 'bookingdb_service'"):
            run(superuser, "create role bookingdb_service nologin")
        run(superuser, "grant bookingdb_service to app_servers")
    with connect(url) as connection:
        run(connection, VERSIONS[version])
        installed = [*MIGRATIONS[: MIGRATIONS.index(version) + 1], "standalone"]
        assert run(connection, "select name from bookingdb.history order by id") == [(name,) for name in installed]
        if version >= WITH_TRUST:
            run(connection, "grant execute on function bookingdb.act_for_anyone() to app_servers")
        world = World(url, connection, host.superuser)
        before = Before(world, world.therapist("Europe/Berlin"), world.client())
        before.ask("a payment", "grant_credits", user_id=before.client, amount=2, payment_reference="payment 1")
        before.ask(
            "one that expires", "grant_credits",
            user_id=before.client, amount=4, expires_at=dt.datetime.combine(LATER, dt.time(0), dt.UTC) + 50 * DAY,
        )  # fmt: skip
        before.book("booked", "10:00", notes="hello", session_type="video")
        before.book("to be cancelled", "12:00", duration_minutes=90)
        before.book("to be moved", "15:00", time_zone="UTC")
        soon = dt.datetime.now(dt.UTC) + 3 * HOUR
        before.book("soon", f"{soon:%H:%M}", soon.date(), time_zone="UTC")
        # What others wrote: a session that waits, one that was cancelled, one without a time, credits, less of them.
        start = dt.datetime.combine(LATER + DAY, dt.time(9), dt.UTC)
        for title, status, times in (
            ("asked for", "pending_approval", (start, start + HOUR)),
            ("given up", "cancelled", (start, start + HOUR)),
            ("some day", "scheduled", (None, None)),
        ):
            world.run(
                "insert into sessions (user_id, therapist_id, title, status, start_time, end_time)"
                " values (%s, %s, %s, %s, %s, %s)",
                *(before.client, before.therapist, title, status, *times),
            )
        world.run("insert into user_credits (user_id, credits_balance) values (%s, 7)", before.client)
        world.run("update user_credits set credits_balance = 5 where credits_balance = 7")
        assert world.balance(before.client) == 7
        if version >= WITH_HOURS:
            add_hours(world)
        assert world.violations() == []
        return before


@pytest.fixture(scope="session", params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    """Each version there was."""
    return str(request.param)


@pytest.fixture
def before(version: str, host: Host, hosted_database: str, request: pytest.FixtureRequest) -> Iterator[Before]:
    """A copy of `in_use`, of a version on a host; its `hosted_database` is there, too."""
    server_url = request.getfixturevalue(server_fixture(host))
    used = in_use(version, host, server_url)
    for url in hosts_database(host, server_url, str(conninfo_to_dict(used.world.url)["dbname"])):
        with connect(url) as connection:
            yield replace(used, world=World(url, connection, host.superuser))


def on_its_host(
    is_meant: Callable[[str], bool] = lambda version: True, *, newest_on_each: bool = False
) -> pytest.MarkDecorator:
    """For tests of rows, which are the same on every host: each version on one, the newest on a plain Postgres.

    What differs between hosts (`newest_on_each`) is looked at for the version before on each of them: older ones come
    to it by the same migrations, and their own host shows that those end alike.
    """
    pairs = [
        (version, HOSTS[place % len(HOSTS)])
        for place, version in enumerate(sorted(VERSIONS, reverse=True))
        if is_meant(version)
    ]
    if newest_on_each:
        pairs += [(max(VERSIONS), host) for host in HOSTS[1:]]
    return pytest.mark.parametrize(
        ("version", "host"), pairs, ids=[f"{host.name}-{version}" for version, host in pairs], indirect=True,
        scope="session",
    )  # fmt: skip


def add_hours(world: World) -> None:
    """Let others use what came with availability: rules and hours of their own, a hold, time off, a lot used up."""
    therapist, client = world.therapist("America/New_York"), world.client(credits=1)
    hours = '"start_time": "08:00", "end_time": "20:00"'
    world.run("select set_weekly_hours(%s, %s)", therapist, f'[{{"weekday": 1, {hours}}}]')
    world.run("select set_date_override(%s, %s, %s)", therapist, LATER, f"[{{{hours}}}]")
    world.run("select set_policy(%s, %s)", '{"buffer_after_minutes": 15, "maximum_sessions_per_day": 4}', therapist)
    away = dt.datetime.combine(LATER + 5 * DAY, dt.time(0), dt.UTC)
    world.run("select add_time_off(%s, %s, %s, 'away')", therapist, away, away + DAY)
    world.run("select sync_external_busy(%s, 'mine', %s, %s, %s)", therapist, "[]", away, away + DAY)
    world.book(client, therapist, "09:00", session_date=LATER, duration_minutes=60)
    world.run("select id from hold_slot(%s, %s, %s, '12:00', 60)", client, therapist, LATER)


everywhere = pytest.mark.parametrize("upgrade", [by_migrate, by_script])
Upgrade = Callable[[Connection], None]


def content(connection: Connection) -> dict[str, list[Any]]:
    """What the tables hold, in the order of their columns."""
    columns = run(
        connection,
        "select table_schema || '.' || table_name, string_agg(column_name, ', ' order by ordinal_position)"
        " from information_schema.columns natural join information_schema.tables"
        " where table_schema in ('public', 'bookingdb') and table_type = 'BASE TABLE'"
        " and table_name not in ('history', 'time_zones')"
        " group by 1",
    )
    return {table: run(connection, f"select {names} from {table} order by {names}") for table, names in columns}


@dataclass(frozen=True)
class Function:
    """A function of the engine, as the catalogue has it."""

    name: str
    types: list[int]
    defaults: int
    body: str
    comment: str

    @property
    def is_outgoing(self) -> bool:
        """For calls in flight of the version before, which called it."""
        return "for calls that began before the upgrade" in self.comment

    def takes(self, types: list[int]) -> bool:
        return self.types[: len(types)] == types and len(self.types) - self.defaults <= len(types)


def functions_of(connection: Connection) -> list[Function]:
    return [
        Function(*row)
        for row in run(
            connection,
            "select proname, string_to_array(proargtypes::text, ' ')::integer[], pronargdefaults, prosrc,"
            " coalesce(obj_description(oid), '') from pg_proc where pronamespace = 'bookingdb'::regnamespace",
        )
    ]


@everywhere
@on_its_host(newest_on_each=True)
def test_the_catalogue_is_that_of_a_new_installation(before: Before, hosted_database: str, upgrade: Upgrade) -> None:
    connection = before.world.connection

    upgrade(connection)

    assert verify.verify(connection) == []
    files = source.load()
    with connect(hosted_database) as new:
        # Privileges, too.
        assert verify.snapshot(connection, files) == verify.snapshot(new, files)
    applied = run(connection, "select name from bookingdb.history where kind = 'migration' order by id")
    assert [name for (name,) in applied] == MIGRATIONS


@on_its_host()
def test_nothing_that_was_there_is_changed(before: Before) -> None:
    connection = before.world.connection
    rows = content(connection)
    times = run(connection, "select to_jsonb(c) from bookingdb.calendar as c")
    had_used_lots = run(connection, "select id from user_credits where status = 'used' limit 1") != []

    by_migrate(connection)

    # Lots without credits have a status of their own now.
    used = "update user_credits set status = 'active' where status = 'used' returning credits_balance"
    assert had_used_lots or {balance for (balance,) in run(connection, used)} == {0}
    # The default policy has settings more, which is a change of the rules.
    rows.pop("bookingdb.rule_changes", None)
    # Absences have a table of their own since.
    del rows["bookingdb.calendar"]
    had_absences = rows.get("bookingdb.absences", [])
    for (old,) in times:
        table = "absences" if old["kind"] in ("time_off", "external") else "calendar"
        new = scalar(connection, f"select to_jsonb(t) from bookingdb.{table} as t where id = %s", old["id"])
        assert {name: (old[name], new[name]) for name in old if name in new and old[name] != new[name]} == {}
    held = "select (select count(*) from bookingdb.calendar) + (select count(*) from bookingdb.absences)"
    assert scalar(connection, held) == len(times) + len(had_absences)
    # What goes held nothing.
    assert rows.pop("bookingdb.selftest_people", []) == []
    upgraded = content(connection)
    # The expiry is no part of a grant's request any more.
    hashes = "select request_hash from bookingdb.idempotency_keys where key = 'one that expires'"
    ((hashed,),) = run(connection, hashes)
    keys = rows["bookingdb.idempotency_keys"]
    rows["bookingdb.idempotency_keys"] = [
        tuple(hashed if isinstance(value, bytes) and "one that expires" in row else value for value in row)
        for row in keys
    ]
    for table, old in rows.items():
        # Columns that came since are the last ones.
        columns = len(old[0]) if old else 0
        assert [row[:columns] for row in upgraded[table]] == old, table
    lots = "select distinct category, priority, grace_for_lot_id from user_credits"
    assert run(connection, lots) == [("paid", 50, None)]
    require_sound(before.world)


@on_its_host(lambda version: version == max(VERSIONS))
def test_calls_in_flight_find_what_they_go_on_to_call(before: Before) -> None:
    """A call that began before the upgrade runs the old body: what that calls is still there, with its arguments."""
    connection = before.world.connection
    old = functions_of(connection)
    bodies = "\n".join(function.body for function in old)

    by_migrate(connection)

    new = functions_of(connection)
    # Nothing in an ordinary database calls these.
    only_adopted = {function.name for function in source.load().adoption}
    gone = [
        function
        for function in old
        if not function.is_outgoing
        and function.name not in only_adopted
        and f"bookingdb.{function.name}(" in bodies
        and not any(other.name == function.name and other.takes(function.types) for other in new)
    ]
    assert [f"{function.name}{function.types}" for function in gone] == []


@on_its_host(lambda version: version < WITH_TRUST)
def test_upgrade_leaves_checks_and_triggers_of_an_application(before: Before) -> None:
    """Lots that are used up change their status: its check of statuses lets it in, and its triggers are not told."""
    connection = before.world.connection
    run(
        connection,
        "alter table user_credits drop constraint user_credits_status_check,"
        " add constraint known check (status <> 'used' and status <> 'gone')",
    )
    run(
        connection, "create function refuse() returns trigger language plpgsql as 'begin raise exception $$told$$; end'"
    )
    for name in ("mine", "resting"):
        run(connection, f"create trigger {name} before update on user_credits for each row execute function refuse()")
    run(connection, "alter table user_credits disable trigger resting")

    by_migrate(connection)

    triggers = (
        "select tgname, tgenabled::text from pg_trigger where tgrelid = 'user_credits'::regclass and not tgisinternal"
    )
    assert {("mine", "O"), ("resting", "D"), ("_bookingdb_ledger", "O")} <= set(run(connection, triggers))
    assert run(connection, "select distinct status from user_credits where credits_balance = 0") == [("used",)]
    run(connection, "drop trigger mine on user_credits")
    client = before.world.client(credits=1)
    assert before.world.book(client, before.therapist, "20:00", session_date=LATER)["credits_balance"] == 0
    with pytest.raises(psycopg.errors.CheckViolation):
        run(connection, "update user_credits set status = 'gone'")


@everywhere
@on_its_host(lambda version: version < WITHOUT_SELFTEST_PEOPLE)
def test_upgrade_removes_people_of_an_interrupted_selftest(before: Before, upgrade: Upgrade) -> None:
    world, person = before.world, uuid4()
    world.run("insert into bookingdb.selftest_people (id) values (%s)", person)
    world.run("select register_client('selftest@example.invalid', null, %s)", person)
    world.run("select grant_credits(%s, 2)", person)

    upgrade(world.connection)

    assert world.scalar("select count(*) from users where id = %s", person) == 0
    assert world.scalar("select count(*) from bookingdb.ledger where user_id = %s", person) == 0
    require_sound(world)


@everywhere
@on_its_host(lambda version: version < WITH_ANCHOR)
def test_upgrade_leaves_the_grid_of_slots(before: Before, hosted_database: str, upgrade: Upgrade) -> None:
    """A new installation has that of the windows."""
    upgrade(before.world.connection)

    assert before.world.scalar("select slot_anchor from get_policy()") == "midnight"
    with connect(hosted_database) as new:
        assert run(new, "select slot_anchor from get_policy()") == [("window",)]


@everywhere
@on_its_host(lambda version: version >= WITH_HOURS)
def test_upgrade_closes_nobody_and_knows_who_has_hours(before: Before, upgrade: Upgrade) -> None:
    world = before.world
    (had,) = world.run("select distinct therapist_id from bookingdb.weekly_hours")

    upgrade(world.connection)

    assert world.run("select therapist_id from bookingdb.therapists_with_hours") == [had]
    world.run("delete from bookingdb.weekly_hours")
    asked = "select is_bookable_any_time(%s)"
    assert (world.scalar(asked, *had), world.scalar(asked, before.therapist)) == (False, True)


@everywhere
@on_its_host()
def test_keys_that_were_answered_before_are_answered_alike(before: Before, upgrade: Upgrade) -> None:
    connection = before.world.connection
    # What is left in a lot, and the status of a session, are told as they stand; the rest as it was answered first.
    again = {name: call(connection, function, **asked) for name, (function, asked, _) in before.answers.items()}

    upgrade(connection)

    for name, (function, parameters, answer) in before.answers.items():
        answered = call(connection, function, **parameters)
        # Versions that did not say so yet answered without it.
        assert answered.pop("is_new", False) is again[name].pop("is_new", False) is False
        assert answered == again[name], name
        if "expires_at" in parameters:
            anew = {**parameters, "expires_at": parameters["expires_at"] + DAY}
            assert call(connection, function, **anew)["lot_id"] == answered["lot_id"]
        assert again[name]["credits_balance"] == answer["credits_balance"]
        other = {"notes": "others"} if function.startswith("create") else {"amount": 9}
        with refused("idempotency_key_reused"):
            call(connection, function, **{**parameters, **other})
    assert before.world.balance(before.client) == 7
    require_sound(before.world)


@on_its_host()
def test_the_audit_log_keeps_its_order_and_goes_on(before: Before) -> None:
    world = before.world
    (last,) = world.run("select count(*), max(id) from booking_audit_log")
    by_migrate(world.connection)

    assert world.scalar("select count(*) from booking_audit_log where entry <> id") == 0
    world.run("update sessions set title = 'changed' where id = %s", before.id_of("booked"))
    assert world.run("select entry from booking_audit_log order by entry desc limit 1") == [(last[1] + 1,)]
    # The guard, which the migration had to pass, is as it was.
    guard = "select tgenabled from pg_trigger where tgname = '_bookingdb_append_only' and tgrelid = %s::regclass"
    assert world.run(guard, "public.booking_audit_log") == [("O",)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        world.run("update booking_audit_log set entry = default")
    require_sound(world)


@on_its_host()
def test_an_old_session_goes_through_the_life_of_a_new_one(before: Before) -> None:
    world, connection = before.world, before.world.connection
    by_migrate(connection)

    # The session was booked before policies existed: today's policy holds.
    moved = call(
        connection, "reschedule_session",
        session_id=before.id_of("to be moved"), session_date=LATER + 2 * DAY, session_time="11:00", time_zone="UTC",
    )  # fmt: skip
    start = dt.datetime.combine(LATER + 2 * DAY, dt.time(11), dt.UTC)
    assert (moved["start_time"], moved["free_cancellation_until"]) == (start, start - DAY)
    assert moved["credits_balance"] == 7

    cancelled = call(connection, "cancel_session", session_id=before.id_of("to be cancelled"), reason="ill")
    assert (cancelled["status"], cancelled["refunded"], cancelled["credits_balance"]) == ("cancelled", True, 8)
    # To the lot that paid it, by the rule of that time: the one that expires first.
    lots = "select l.lot_id from bookingdb.ledger as l where l.session_id = %s order by l.id"
    paid = before.answers["one that expires"][2]["lot_id"]
    assert world.run(lots, before.id_of("to be cancelled")) == [(paid,), (paid,)]

    # Its time is free at once, and the one that was not touched is still in the way.
    assert world.book(world.client(credits=1), before.therapist, "12:00", session_date=LATER)
    with refused("booking_conflict"):
        world.book(world.client(credits=1), before.therapist, "10:30", session_date=LATER)

    ((asked,),) = world.run("select id from sessions where title = 'asked for'")
    assert call(connection, "approve_session", session_id=asked)["credits_balance"] == 7
    assert call(connection, "confirm_session", session_id=before.id_of("booked"))["status"] == "confirmed"

    # Its lot is over by now: the credit comes back in another one, as for new sessions.
    expire_lot(connection, paid)
    assert call(connection, "expire_credits")["credits"] == 0
    assert call(connection, "cancel_session", session_id=before.id_of("booked"))["refunded"]
    assert world.scalar("select count(*) from user_credits where grace_for_lot_id = %s", paid) == 1
    revoked = call(connection, "revoke_grant", payment_reference="payment 1")
    assert (revoked["credits_revoked"], revoked["credits_spent"]) == (2, 0)
    require_sound(world)


@on_its_host(newest_on_each=True)
def test_upgrade_grants_what_a_new_installation_grants(before: Before, host: Host) -> None:
    world = before.world
    by_migrate(world.connection)
    soon, late = before.id_of("soon"), before.id_of("booked")

    def cancel(connection: Connection, session_id: UUID) -> DictRow:
        return call(connection, "cancel_session", session_id=session_id)

    with acting(world, "app_server") as connection:
        assert outcome(partial(cancel, connection, late)) == "done"
    with acting(world, "stranger") as connection:
        assert outcome(partial(cancel, connection, soon)) == "42501"
    if host.is_supabase:
        with acting(world, "authenticator", "anon") as connection:
            assert outcome(partial(cancel, connection, soon)) == "42501"
        with logged_in(world, world.client()) as connection:
            assert outcome(partial(cancel, connection, soon)) == "not_allowed"
        with logged_in(world, before.client) as connection:
            # Less than a day before it is too late.
            assert not cancel(connection, soon)["refunded"]
            assert outcome(partial(run, connection, "select from bookingdb.holds")) == "42501"
    require_sound(world)


OLD_CLIENT = """
import datetime as dt
import sys

import bookingdb
from bookingdb import BookingConflict, Bookings, InsufficientCredits, InvalidTransition, SessionNotFound

assert ".client.zip" in bookingdb.__file__, bookingdb.__file__
bookings = Bookings(sys.argv[1])
day = dt.date.today() + dt.timedelta(days=7)


def refused(error, call, *arguments, **options):
    try:
        call(*arguments, **options)
    except error as found:
        assert type(found) is error, found
    else:
        raise AssertionError(f"not refused with {error.__name__}")


therapist = bookings.register_therapist("grace@old.example", time_zone="Europe/Berlin")
client = bookings.register_client("ada@old.example")
poor = bookings.register_client("eve@old.example")
granted = bookings.grant_credits(client, 5, payment_reference="pi_old", idempotency_key="grant")
assert granted.lot_id == bookings.grant_credits(client, 5, payment_reference="pi_old", idempotency_key="grant").lot_id

people = {"user_id": client, "therapist_id": therapist, "session_date": day}
booked = bookings.book_session(**people, session_time="10:00", idempotency_key="one")
again = bookings.book_session(**people, session_time="10:00", idempotency_key="one")
assert (again.id, again.credits_balance) == (booked.id, 4) == (booked.id, booked.credits_balance)
refused(BookingConflict, bookings.book_session, user_id=poor, therapist_id=therapist, session_date=day,
        session_time="10:30")
refused(InsufficientCredits, bookings.book_session, user_id=poor, therapist_id=therapist, session_date=day,
        session_time="12:00")

moved = bookings.reschedule_session(booked.id, session_date=day, session_time="11:00")
assert (moved.id, moved.scheduled_time) == (booked.id, dt.time(11))
assert bookings.cancel_session(booked.id).refunded
held = bookings.hold_slot(**people, session_time="14:00")
assert bookings.book_hold(held.id).id == held.id
refused(InvalidTransition, bookings.release_hold, held.id)
refused(SessionNotFound, bookings.cancel_session, client)
bookings.set_weekly_hours(therapist, [])
starts = [slot.start_time for slot in bookings.list_available_slots(therapist, day, day)]
assert starts and held.start_time not in starts
assert bookings.get_credit_balance(client) == 4
assert [entry.kind for entry in bookings.get_credit_history(client)]
assert bookings.get_policy(therapist).time_zone == "Europe/Berlin"
print("all as before")
"""


@pytest.mark.parametrize("client", CLIENTS, ids=[path.name.partition(".")[0] for path in CLIENTS])
def test_client_of_an_earlier_version_works(client: Path, world: World) -> None:
    command = [sys.executable, "-P", "-c", OLD_CLIENT, world.url]
    environment = {**os.environ, "PYTHONPATH": str(client)}
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (printed.returncode, printed.stdout) == (0, "all as before\n"), printed.stderr
    assert world.violations() == []
