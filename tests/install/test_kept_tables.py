"""`uninstall --keep-data`, and back: `migrate` takes the tables up, with what others wrote to them meanwhile."""

from __future__ import annotations

import ast
import datetime as dt
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from bookingdb.adoption.plan import planner
from bookingdb.checks import verify
from bookingdb.checks.remedies import MIGRATE
from bookingdb.install import installer, source
from bookingdb.install.export import sql_script
from bookingdb.install.installer import migrate
from bookingdb.install.session import InstallError
from bookingdb.install.trust import trust
from bookingdb.install.uninstall import uninstall
from tests.support import ROOT, TOMORROW, Connection, World, connect, run, scalar
from tests.support.callers import logged_in
from tests.support.commands import bookingdb
from tests.support.databases import new_database
from tests.support.hosts import PLAIN, SUPABASE
from tests.support.installation import contents
from tests.support.interleaving import holding, session_of, started
from tests.support.life import at, call, require_sound
from tests.support.refusals import refused
from tests.support.upgrade import VERSIONS

HOUR = dt.timedelta(hours=1)
UNINSTALLED = "uninstalled"


def by_migrate(connection: Connection) -> None:
    assert migrate(connection).reason == "the tables were kept"


def by_script(connection: Connection) -> None:
    run(connection, sql_script())


by_each_way = pytest.mark.parametrize("take_up", [by_migrate, by_script])
TakeUp = Callable[[Connection], None]


@dataclass
class Kept:
    """A practice whose functions were taken out: its people, three sessions by their names, and a lot."""

    world: World
    therapist: UUID
    client: UUID
    sessions: dict[str, UUID]
    lot: UUID

    def run(self, statement: str, *parameters: Any) -> list[Any]:
        return self.world.run(statement, *parameters)

    def write(self, start: dt.datetime, **columns: Any) -> UUID:
        """Write a session as an application does."""
        values = {
            "user_id": self.client, "therapist_id": self.therapist, "start_time": start, "end_time": start + HOUR,
            "scheduled_date": start.date(), "scheduled_time": start.time(), "duration_minutes": 60, **columns,
        }  # fmt: skip
        names, places = ", ".join(values), ", ".join(["%s"] * len(values))
        ((session_id,),) = self.run(f"insert into sessions ({names}) values ({places}) returning id", *values.values())
        assert isinstance(session_id, UUID)
        return session_id

    def audit_of(self, session_id: UUID) -> list[Any]:
        log = "select action, old_status, new_status, actor from booking_audit_log where session_id = %s order by entry"
        return self.run(log, session_id)


@pytest.fixture(scope="module")
def practice(server_url: str, template: str) -> Iterator[Kept]:
    """The practice from which every test gets a copy; nobody is connected to it."""
    for url in new_database(server_url, template, "owner"):
        with connect(url) as connection:
            world = World(url, connection)
            therapist, client = world.therapist(), world.client()
            granted = call(connection, "grant_credits", user_id=client, amount=9, idempotency_key="paid")
            sessions = {
                f"at {hour}": world.book(client, therapist, f"{hour}:00", idempotency_key=f"at {hour}")["id"]
                for hour in (9, 12, 15)
            }
            world.run("select set_weekly_hours(%s, %s)", therapist, "[]")
            world.run("select set_policy(%s, %s)", '{"buffer_after_minutes": 30}', therapist)
            uninstall(connection, keep_data=True)
        yield Kept(world, therapist, client, sessions, granted["lot_id"])


@pytest.fixture
def kept(server_url: str, practice: Kept) -> Iterator[Kept]:
    for url in new_database(server_url, str(conninfo_to_dict(practice.world.url)["dbname"]), "owner"):
        with connect(url) as connection:
            yield replace(practice, world=World(url, connection))


def rows_of_everything(connection: Connection) -> dict[str, list[Any]]:
    tables = run(connection, "select oid::regclass::text from pg_class where relkind = 'r' and relnamespace in"
                             " ('public'::regnamespace, 'bookingdb'::regnamespace) order by 1")  # fmt: skip
    return {table: run(connection, f"select t::text from {table} as t order by 1")
            for (table,) in tables if table != "bookingdb.history"}  # fmt: skip


# ----------------------------------------------------------------------------------------------------------------------
# What is taken up
# ----------------------------------------------------------------------------------------------------------------------


@by_each_way
def test_migrate_takes_up_what_was_kept(kept: Kept, take_up: TakeUp) -> None:
    world = kept.world
    rows = rows_of_everything(world.connection)
    pending = installer.status(world.connection).pending
    assert (pending.migrations, pending.reason) == ((), "the tables were kept")
    (finding,) = verify.verify(world.connection)
    assert (finding.problem, finding.remedy) == ("was uninstalled, and its tables were kept", MIGRATE)

    take_up(world.connection)

    assert rows_of_everything(world.connection) == rows
    assert verify.verify(world.connection) == []
    assert migrate(world.connection).is_empty
    # Keys, too.
    assert world.book(kept.client, kept.therapist, "12:00", idempotency_key="at 12")["id"] == kept.sessions["at 12"]
    granted = call(world.connection, "grant_credits", user_id=kept.client, amount=9, idempotency_key="paid")
    assert granted["lot_id"] == kept.lot
    assert call(world.connection, "cancel_session", session_id=kept.sessions["at 15"])["refunded"]
    require_sound(world)


@by_each_way
def test_writes_meanwhile_are_taken_up_as_direct_ones(kept: Kept, take_up: TakeUp) -> None:
    world, (nine, twelve, fifteen) = kept.world, kept.sessions.values()
    ((told,),) = kept.run("select max(id) from bookingdb.outbox")
    kept.run("update user_credits set credits_balance = 4 where id = %s", kept.lot)
    ((bought,),) = kept.run(
        "insert into user_credits (user_id, credits_balance) values (%s, 3) returning id", kept.client
    )
    kept.run("delete from sessions where id = %s", nine)
    kept.run("update sessions set status = 'cancelled' where id = %s", twelve)
    moved = at(18)
    kept.run(
        "update sessions set start_time = %s, end_time = %s, scheduled_time = '18:00' where id = %s",
        moved, moved + HOUR, fifteen,
    )  # fmt: skip
    written = kept.write(at(12))

    take_up(world.connection)

    assert verify.verify(world.connection) == []
    entries = "select lot_id, kind, amount, balance_after from bookingdb.ledger where actor = %s order by id"
    assert kept.run(entries, UNINSTALLED) == [(kept.lot, "direct", -2, 4), (bought, "direct", 3, 3)]
    assert world.balance(kept.client) == 7
    assert kept.audit_of(nine)[1:] == [("deleted", "scheduled", None, UNINSTALLED)]
    assert kept.audit_of(twelve)[1:] == [("status_changed", "scheduled", "cancelled", UNINSTALLED)]
    assert kept.audit_of(fifteen)[1:] == [("updated", "scheduled", "scheduled", UNINSTALLED)]
    assert kept.audit_of(written) == [("created", None, "scheduled", UNINSTALLED)]
    ((changes,),) = kept.run("select changes from booking_audit_log where action = 'updated'")
    assert changes["start_time"] == {"old": at(15).isoformat(), "new": moved.isoformat()}
    events = kept.run("select event, subject_id, payload ->> 'start_time' from bookingdb.outbox where id > %s", told)
    assert {(event, session, start[11:16]) for event, session, start in events} == {
        ("session.deleted", nine, "09:00"), ("session.status_changed", twelve, "12:00"),
        ("session.updated", fifteen, "18:00"), ("session.created", written, "12:00"),
    }  # fmt: skip
    # The calendar follows, with the therapist's buffers.
    calendar = (
        "select id, to_char(lower(blocked), 'HH24:MI'), to_char(upper(blocked), 'HH24:MI') from bookingdb.calendar"
    )
    kept.run("set timezone = 'UTC'")
    assert set(kept.run(calendar)) == {(written, "12:00", "13:30"), (fifteen, "18:00", "19:30")}
    with refused("booking_conflict"):
        world.book(kept.client, kept.therapist, "13:00")
    assert world.book(kept.client, kept.therapist, "15:00")
    require_sound(world)


@by_each_way
def test_therapists_who_are_clients_are_taken_up_in_both_parts(world: World, take_up: TakeUp) -> None:
    person, therapist, client = world.therapist(), world.therapist(), world.client(credits=3)
    world.run("select register_client(email) from users where id = %s", person)
    world.run("select grant_credits(%s, 3)", person)
    gone, moved, stays = (world.book(person, therapist, f"{hour}:00")["id"] for hour in (9, 12, 15))
    uninstall(world.connection, keep_data=True)
    world.run("delete from sessions where id = %s", gone)
    move = "update sessions set start_time = %s, end_time = %s, scheduled_time = '18:00' where id = %s"
    world.run(move, at(18), at(18) + HOUR, moved)
    # A client who became a therapist meanwhile, with a session at the same time.
    write = "insert into sessions (user_id, therapist_id, start_time, end_time) values (%s, %s, %s, %s)"
    world.run(write, client, person, at(20), at(20) + HOUR)
    world.run("update users set user_type = 'therapist', is_verified = true where id = %s", client)

    take_up(world.connection)

    assert verify.verify(world.connection) == []
    mirrored = "select mirror_of from bookingdb.calendar where therapist_id = %s and mirror_of is not null"
    assert {session for (session,) in world.run(mirrored, person)} == {moved, stays}
    other = world.client(credits=2)
    for hour in (15, 18):
        with refused("booking_conflict"):
            world.book(other, person, f"{hour}:00")
    with refused("booking_conflict"):
        world.book(other, client, "20:00")
    world.book(other, person, "9:00")
    world.book(other, person, "12:00")
    require_sound(world)


@by_each_way
def test_sessions_that_clash_by_then_are_listed(kept: Kept, take_up: TakeUp) -> None:
    world = kept.world
    clashing = kept.write(at(12) + HOUR / 2, user_id=None)

    take_up(world.connection)

    assert verify.verify(world.connection) == []
    overlapping = "select session_id, reason from bookingdb.overlapping_sessions"
    assert kept.run(overlapping) == [(clashing, "booking_conflict")]
    with refused("booking_conflict"):
        world.book(kept.client, kept.therapist, "13:00")
    kept.run("update sessions set start_time = %s, end_time = %s where id = %s", at(20), at(21), clashing)
    assert kept.run(overlapping) == []
    require_sound(world)


def test_lot_moved_meanwhile_leaves_the_other_person_nothing(kept: Kept) -> None:
    world, other = kept.world, kept.run("insert into users (email) values ('b@example.com') returning id")[0][0]
    kept.run("update user_credits set user_id = %s, credits_balance = 8 where id = %s", other, kept.lot)

    by_migrate(world.connection)

    assert (world.balance(kept.client), world.balance(other)) == (0, 8)
    entries = "select user_id, amount from bookingdb.ledger where actor = %s order by id"
    assert kept.run(entries, UNINSTALLED) == [(kept.client, -6), (other, 8)]
    assert world.violations() == []


def test_deleted_lot_and_deleted_person_are_taken_up(kept: Kept) -> None:
    kept.run("delete from user_credits")
    kept.run("delete from sessions")
    kept.run("delete from users")

    by_migrate(kept.world.connection)

    assert verify.verify(kept.world.connection) == []
    entries = "select amount, balance_after from bookingdb.ledger where actor = %s"
    assert kept.run(entries, UNINSTALLED) == [(-6, 0)]
    assert kept.run("select kind from bookingdb.calendar") == []


def test_price_written_meanwhile_is_what_the_ledger_says(kept: Kept) -> None:
    free = kept.write(at(18), credits_charged=1)
    kept.run("update sessions set credits_charged = 0 where id = %s", kept.sessions["at 9"])

    by_migrate(kept.world.connection)

    charged = "select credits_charged from sessions where id = %s"
    assert kept.run(charged, free) == [(0,)]
    assert kept.run(charged, kept.sessions["at 9"]) == [(1,)]
    assert verify.verify(kept.world.connection) == []


def test_session_written_again_meanwhile_is_a_new_one(kept: Kept) -> None:
    world, deleted = kept.world, kept.sessions["at 9"]
    kept.run("delete from sessions where id = %s", deleted)
    by_migrate(world.connection)
    uninstall(world.connection, keep_data=True)
    kept.write(at(10), id=deleted)

    by_migrate(world.connection)

    # Its price, too, which was paid once.
    assert [row[0] for row in kept.audit_of(deleted)] == ["created", "deleted", "created", "updated"]
    assert kept.run("select credits_charged from sessions where id = %s", deleted) == [(1,)]
    assert verify.verify(world.connection) == []


def test_session_of_a_holds_id_takes_its_time_from_the_hold(kept: Kept) -> None:
    world = kept.world
    by_migrate(world.connection)
    held = world.scalar("select (hold_slot(%s, %s, %s, '17:00')).id", kept.client, kept.therapist, TOMORROW)
    uninstall(world.connection, keep_data=True)
    kept.write(at(17), id=held)

    by_migrate(world.connection)

    assert kept.run("select kind from bookingdb.calendar where id = %s", held) == [("session",)]
    assert verify.verify(world.connection) == []


@by_each_way
def test_rules_written_meanwhile_hold_at_once(kept: Kept, take_up: TakeUp) -> None:
    kept.run("insert into bookingdb.therapists_with_hours values (%s)", kept.therapist)
    kept.run("update bookingdb.policies set buffer_after_minutes = 20")
    session_id = kept.write(at(18))

    take_up(kept.world.connection)

    assert kept.run("select (bookingdb.policy_of(%s)).has_hours", kept.therapist) == [(True,)]
    # The session's buffer is the one that was written, too.
    blocked = "select upper(blocked) - upper(period) from bookingdb.calendar where id = %s"
    assert kept.run(blocked, session_id) == [(dt.timedelta(minutes=20),)]
    require_sound(kept.world)


def test_times_written_meanwhile_agree_as_for_direct_writers(kept: Kept) -> None:
    nine, twelve, fifteen = kept.sessions.values()
    kept.run("update sessions set start_time = %s, end_time = %s where id = %s", at(19), at(20), nine)
    kept.run("update sessions set scheduled_time = '17:00' where id = %s", twelve)
    kept.run("update sessions set end_time = end_time + interval '30 minutes' where id = %s", fifteen)
    ((fresh,),) = kept.run(
        "insert into sessions (user_id, therapist_id, scheduled_date, scheduled_time, duration_minutes)"
        " values (%s, %s, %s, '07:00', 45) returning id",
        kept.client, kept.therapist, TOMORROW,
    )  # fmt: skip

    by_migrate(kept.world.connection)

    assert verify.verify(kept.world.connection) == []
    found = kept.run("select id, scheduled_time, start_time, end_time, duration_minutes from sessions")
    assert {session: (str(local)[:5], start, end, minutes) for session, local, start, end, minutes in found} == {
        nine: ("19:00", at(19), at(20), 60),
        twelve: ("17:00", at(17), at(18), 60),
        fifteen: ("15:00", at(15), at(16) + HOUR / 2, 90),
        fresh: ("07:00", at(7), at(7) + HOUR * 3 / 4, 45),
    }
    with refused("booking_conflict"):
        kept.world.book(kept.client, kept.therapist, "17:30")
    require_sound(kept.world)


def test_times_that_contradict_each_other_stay_as_written(kept: Kept) -> None:
    nine = kept.sessions["at 9"]
    moved = "update sessions set start_time = %s, end_time = %s, scheduled_time = '07:00' where id = %s"
    kept.run(moved, at(19), at(20), nine)

    by_migrate(kept.world.connection)

    # Nobody knows which one was meant: verify asks.
    assert [finding for finding in verify.verify(kept.world.connection) if str(nine) not in finding.object] == []
    assert kept.run("select start_time from sessions where id = %s", nine) == [(at(19),)]


def test_lot_refilled_meanwhile_is_spent_again(kept: Kept) -> None:
    world, client = kept.world, kept.run("insert into users (email) values ('c@example.com') returning id")[0][0]
    by_migrate(world.connection)
    call(world.connection, "grant_credits", user_id=client, amount=1)
    world.book(client, kept.therapist, "18:00")
    uninstall(world.connection, keep_data=True)
    kept.run("update user_credits set credits_balance = 2 where user_id = %s", client)
    kept.run("update user_credits set credits_balance = 0 where user_id = %s", kept.client)

    by_migrate(world.connection)

    assert world.book(client, kept.therapist, "20:00")["credits_balance"] == 1
    with refused("insufficient_credits"):
        world.book(kept.client, kept.therapist, "07:00")
    assert verify.verify(world.connection) == []
    require_sound(world)


@pytest.mark.parametrize("host", [PLAIN, SUPABASE], ids=lambda host: host.name, indirect=True, scope="session")
@by_each_way
def test_roles_that_were_trusted_are_trusted_again(hosted_world: World, take_up: TakeUp) -> None:
    trust(hosted_world.connection, "stranger")
    uninstall(hosted_world.connection, keep_data=True)

    take_up(hosted_world.connection)

    assert scalar(hosted_world.connection, "select bookingdb.role_is_trusted('stranger')")
    assert verify.verify(hosted_world.connection) == []
    assert not trust(hosted_world.connection, "stranger", revoke=True)
    assert migrate(hosted_world.connection).is_empty


@by_each_way
def test_another_role_of_a_trusted_name_is_not_trusted(kept: Kept, take_up: TakeUp) -> None:
    world = kept.world
    notices: list[str] = []
    world.connection.add_notice_handler(lambda notice: notices.append(notice.message_primary or ""))
    with world.connect(user=world.superuser) as superuser:
        for statement in ("create role kept_app", "create role kept_other"):
            run(superuser, statement)
        try:
            by_migrate(world.connection)
            trust(world.connection, "kept_app")
            trust(world.connection, "stranger")
            uninstall(world.connection, keep_data=True)
            run(superuser, "alter role kept_app rename to kept_old")
            run(superuser, "alter role kept_other rename to kept_app")
            take_up(world.connection)
            assert installer.trusted_roles(world.connection) == ["stranger"]
            (details,) = world.run("select h.details from bookingdb.history as h order by h.id desc limit 1")[0]
            assert (details["trusted_again"], details["not_trusted_again"]) == (["stranger"], ["kept_app"])
            if take_up is by_script:
                assert "trusted again, as before the tables were kept: stranger" in notices[-1]
                assert "another one has its name: kept_app" in notices[-1]
            assert verify.verify(world.connection) == []
        finally:
            run(superuser, "drop owned by kept_app, kept_old")
            run(superuser, "drop role kept_app, kept_old")


@pytest.mark.parametrize(
    "rewriting",
    [
        "update bookingdb.ledger set actor = 'nobody' where kind = 'grant'",
        "delete from bookingdb.ledger where id = (select max(id) from bookingdb.ledger)",
        "delete from booking_audit_log where session_id = (select id from sessions order by start_time limit 1)",
    ],
)
def test_evidence_rewritten_meanwhile_is_on_record(kept: Kept, rewriting: str) -> None:
    kept.run(rewriting)
    by_migrate(kept.world.connection)
    records = [finding for finding in verify.verify(kept.world.connection) if finding.group == "rewritten records"]
    assert len(records) == 1
    assert "somebody while bookingdb was uninstalled did update" in records[0].problem


def test_row_security_comes_back_with_kept_tables(supabase_world: World) -> None:
    client, other, therapist = supabase_world.client(2), supabase_world.client(1), supabase_world.therapist()
    supabase_world.book(client, therapist, "10:00")
    supabase_world.book(other, therapist, "12:00")
    uninstall(supabase_world.connection, keep_data=True)
    with logged_in(supabase_world, client) as connection:
        assert run(connection, "select user_id from sessions") == []

    by_migrate(supabase_world.connection)

    assert verify.verify(supabase_world.connection) == []
    with logged_in(supabase_world, client) as connection:
        assert run(connection, "select user_id from sessions") == [(client,)]
        assert connection.execute("select get_credit_balance(%s)", [client]).fetchone() == (1,)


def test_clashes_may_be_kept_and_taken_up_again(kept: Kept) -> None:
    clashing = kept.write(at(12) + HOUR / 2, user_id=None)
    for _ in range(2):
        by_migrate(kept.world.connection)
        assert kept.run("select session_id from bookingdb.overlapping_sessions") == [(clashing,)]
        assert verify.verify(kept.world.connection) == []
        uninstall(kept.world.connection, keep_data=True)


@by_each_way
def test_writers_at_work_while_tables_are_taken_up(kept: Kept, take_up: TakeUp) -> None:
    """Whoever was faster is taken up, whoever comes after finds the triggers."""
    world = kept.world
    with holding(world) as writer, session_of(world) as migrating, session_of(world) as late:
        run(writer, "update user_credits set credits_balance = 1000")
        taken_up = started(take_up, migrating)
        # Long enough to reach the lock that the writer holds.
        time.sleep(0.3)
        assert not taken_up.done()
        run(writer, "commit")
        while not taken_up.done():
            run(late, "update user_credits set credits_balance = credits_balance - 1")
            kept.run("update sessions set title = gen_random_uuid()::text, status = 'confirmed'")
        taken_up.result()
    assert verify.verify(world.connection) == []
    assert migrate(world.connection).is_empty


@pytest.mark.slow
@by_each_way
@pytest.mark.parametrize("version", VERSIONS)
def test_kept_tables_of_an_earlier_version_get_its_migrations(
    owned_database: str, version: str, take_up: TakeUp
) -> None:
    with connect(owned_database) as connection:
        run(connection, VERSIONS[version])
        world = World(owned_database, connection)
        client, therapist = world.client(credits=3), world.therapist()
        world.book(client, therapist, "10:00")
        world.book(client, therapist, "12:00")
        uninstall(connection, keep_data=True)
        run(connection, "delete from sessions where scheduled_time = '12:00'")
        run(connection, "update user_credits set credits_balance = 5")

        take_up(connection)

        assert verify.verify(connection) == []
        assert migrate(connection).is_empty
        assert world.balance(client) == 5
        assert world.book(client, therapist, "12:00")
        require_sound(world)


def test_dry_run_of_taking_up_changes_nothing(kept: Kept) -> None:
    kept.run("update user_credits set credits_balance = 8")
    before, rows = contents(kept.world.connection), rows_of_everything(kept.world.connection)

    dry = migrate(kept.world.connection, dry_run=True)

    assert (contents(kept.world.connection), rows_of_everything(kept.world.connection)) == (before, rows)
    kept.run(dry.script)
    assert verify.verify(kept.world.connection) == []
    assert migrate(kept.world.connection).is_empty


# ----------------------------------------------------------------------------------------------------------------------
# What is refused
# ----------------------------------------------------------------------------------------------------------------------


def refusal(connection: Connection) -> str:
    """What each way says; none leaves anything behind."""
    before = contents(connection)
    with pytest.raises(InstallError) as by_migrating:
        migrate(connection)
    with pytest.raises(InstallError) as by_dry_run:
        migrate(connection, dry_run=True)
    with pytest.raises(psycopg.errors.RaiseException) as by_running:
        run(connection, sql_script())
    message = str(by_migrating.value)
    assert message == str(by_dry_run.value) == by_running.value.diag.message_primary
    assert contents(connection) == before
    return message


@pytest.mark.parametrize(
    ("statement", "back", "missing"),
    [
        ("alter table sessions rename to bookings", "alter table bookings rename to sessions", "table public.sessions"),
        ("drop table bookingdb.weekly_hours", "", "table bookingdb.weekly_hours"),
        (
            "alter table users rename column email to mail", "alter table users rename column mail to email",
            "column public.users.email of type text",
        ),
        (
            "alter table bookingdb.calendar drop constraint calendar_therapist_excl", "",
            "constraint calendar_therapist_excl on bookingdb.calendar",
        ),
        ("drop type bookingdb.booked_session", "", "type bookingdb.booked_session"),
    ],
)  # fmt: skip
def test_kept_object_that_is_missing_is_named(kept: Kept, statement: str, back: str, missing: str) -> None:
    connection = kept.world.connection
    kept.run(statement)

    message = refusal(connection)

    assert missing in message
    assert "put it back as it was" in message
    with pytest.raises(InstallError, match="is missing"):
        installer.status(connection)
    if back:
        kept.run(back)
        by_migrate(connection)
        assert verify.verify(connection) == []


def test_columns_of_the_applications_own_may_go(kept: Kept) -> None:
    by_migrate(kept.world.connection)
    kept.run("alter table users add column nickname text")
    uninstall(kept.world.connection, keep_data=True)
    kept.run("alter table users drop column nickname")
    by_migrate(kept.world.connection)
    assert verify.verify(kept.world.connection) == []


@pytest.mark.parametrize("parameters", ["uuid", "text"])
def test_function_of_ours_by_name_is_not_replaced(kept: Kept, parameters: str) -> None:
    kept.run(f"create function get_credit_balance({parameters}) returns integer language sql return 1")
    message = refusal(kept.world.connection)
    assert f"the database already has function public.get_credit_balance({parameters})" in message
    assert "adopt" not in message
    # Nor is it removed with the tables.
    uninstall(kept.world.connection, keep_data=False)
    assert kept.run("select proname from pg_proc where proname = 'get_credit_balance'")


def test_kept_tables_are_kept_once_and_removed_for_good(kept: Kept) -> None:
    connection = kept.world.connection
    with pytest.raises(
        InstallError, match="bookingdb is not installed in this database any more; its tables were kept"
    ):
        uninstall(connection, keep_data=True)
    uninstall(connection, keep_data=False, dry_run=True)
    assert kept.run("select count(*) from sessions") == [(3,)]
    uninstall(connection, keep_data=False)
    assert kept.run("select to_regclass('public.sessions'), to_regnamespace('bookingdb')") == [(None, None)]
    assert migrate(connection).reason == "first installation"


def test_kept_tables_are_not_adopted(kept: Kept) -> None:
    with pytest.raises(InstallError, match="`bookingdb migrate` takes them up"):
        planner.make_plan(kept.world.connection, source.load(), {})


def test_command_says_how_kept_tables_come_back(kept: Kept) -> None:
    by_migrate(kept.world.connection)
    gone = bookingdb(kept.world.url, "uninstall", "--keep-data")
    assert gone.stdout.splitlines()[-1] == "`bookingdb migrate` takes the tables up again."
    assert "(the tables were kept)" in bookingdb(kept.world.url, "status").stdout
    back = bookingdb(kept.world.url, "migrate")
    assert "Applied functions, triggers, policies and grants (the tables were kept)." in back.stdout
    assert bookingdb(kept.world.url, "verify").exit_code == 0


# ----------------------------------------------------------------------------------------------------------------------
# What is advised
# ----------------------------------------------------------------------------------------------------------------------

# A function or a view may be dropped.
ADVICE = re.compile(
    r"\b(?:schema|table)\b.*\b(?:drop|rename) it\b|\b(?:drop|rename) the (?:schema|table)|`drop (?:schema|table)",
    re.IGNORECASE | re.DOTALL,
)


def test_messages_never_advise_to_drop_tables_or_schemas() -> None:
    texts = []
    for path in (*(ROOT / "bookingdb").rglob("*.sql"), *(ROOT / "sql").rglob("*.sql")):
        texts.append((path, re.sub("--.*", "", path.read_text(encoding="utf-8"))))
    for path in (ROOT / "bookingdb").rglob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        strings = (node for node in nodes if isinstance(node, ast.Constant) and id(node) not in docstrings)
        texts += [(path, str(node.value)) for node in strings]
    assert [(path.name, found[0]) for path, text in texts if (found := ADVICE.search(text))] == []


@pytest.mark.parametrize(
    "damage",
    [
        "drop table bookingdb.history",
        "alter table bookingdb.ledger rename to old_ledger",
        "create table bookingdb.old_ledger as table bookingdb.ledger",
        "delete from bookingdb.history",
    ],
)
def test_ledger_is_never_to_be_dropped_or_renamed(kept: Kept, damage: str) -> None:
    """Whatever is wrong, and whoever says what to do."""
    connection = kept.world.connection
    if "create" in damage:
        by_migrate(connection)
    kept.run(damage)
    said = [f"{finding.problem} {finding.remedy}" for finding in verify.verify(connection)]
    for way in (migrate, installer.status, lambda connection: run(connection, sql_script())):
        try:
            way(connection)
        except (InstallError, psycopg.Error) as error:
            said.append(str(error))
    assert said
    assert [text for text in said if re.search(r"\b(drop|rename)\b", text, re.IGNORECASE)] == []
    assert kept.run("select to_regclass('bookingdb.ledger'), to_regclass('bookingdb.old_ledger')") != [(None, None)]
