"""The commands that install and book: what they print, where, and with which exit code."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
import pytest
from click.testing import CliRunner

from bookingdb.cli import main as cli
from bookingdb.cli.options import DURATION
from bookingdb.policy import DEFAULTS, Policy
from tests.support import TOMORROW, World, connect, run
from tests.support.commands import answer, bookingdb, done


def test_migrate_says_what_it_applied_and_then_nothing(owned_database: str) -> None:
    before = bookingdb(owned_database, "status")
    assert "Nothing is installed." in before.stdout
    assert "Pending: migration 0001_core." in before.stdout

    first = bookingdb(owned_database, "migrate")
    assert first.exit_code == 0
    assert "Applied migration 0001_core." in first.stdout
    assert "database test_" in first.stderr

    assert answer(owned_database, "migrate") == {
        "migrations": [],
        "functions_applied": False,
        "reason": None,
        "dry_run": False,
        "statements": 0,
        "carried_over": [],
        "not_carried_over": [],
        "trusted_again": [],
        "not_trusted_again": [],
    }
    after = bookingdb(owned_database, "status")
    assert "0001_core" in after.stdout
    assert "Up to date." in after.stdout
    assert answer(owned_database, "status")["pending_migrations"] == []


def test_a_dry_run_prints_sql_and_changes_nothing(owned_database: str) -> None:
    dry = bookingdb(owned_database, "migrate", "--dry-run")
    assert dry.exit_code == 0
    assert dry.stdout.startswith("begin;")
    assert "create table public.sessions" in dry.stdout
    assert dry.stdout.rstrip().endswith("commit;")
    assert "Nothing is installed." in bookingdb(owned_database, "status").stdout


@pytest.mark.slow
def test_export_leaves_migrate_nothing_to_do(owned_database: str, tmp_path: Path) -> None:
    printed = CliRunner().invoke(cli.main, ["export"], env={"BOOKINGDB_DATABASE_URL": "postgresql://127.0.0.1:1/none"})
    assert (printed.exit_code, printed.stderr) == (0, "")
    assert answer("", "export") == {"path": None, "written": False, "script": printed.stdout}

    path = tmp_path / "install.sql"
    assert bookingdb("", "export", "--output", path).stdout == f"Wrote {path}\n"
    assert path.read_text() == printed.stdout
    with connect(owned_database) as connection:
        run(connection, printed.stdout)
    assert "Up to date." in bookingdb(owned_database, "status").stdout
    assert bookingdb(owned_database, "verify").exit_code == 0
    assert "Nothing to do" in bookingdb(owned_database, "migrate").stdout


def test_export_for_the_supabase_cli_writes_each_version_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first = bookingdb("", "export", "--format", "supabase")
    (path,) = (tmp_path / "supabase" / "migrations").iterdir()
    assert first.stdout == f"Wrote {path.relative_to(tmp_path)}\n"

    assert answer("", "export", "--format", "supabase", "--output", path.parent) == {
        "path": str(path),
        "written": False,
        "script": None,
    }
    again = bookingdb("", "export", "--format", "supabase")
    assert (again.exit_code, again.stdout) == (
        0,
        f"Nothing to write, this version is in {path.relative_to(tmp_path)}\n",
    )

    path.write_text(path.read_text() + "-- mine\n")
    edited = bookingdb("", "export", "--format", "supabase")
    assert (edited.exit_code, edited.stdout) == (1, "")
    assert f"{path.name} was changed after it had been exported" in edited.stderr

    for arguments in (["--output", tmp_path], ["--format", "supabase", "--output", path]):
        misplaced = bookingdb("", "export", *arguments)
        assert (misplaced.exit_code, len(misplaced.stderr.splitlines())) == (1, 1)


@pytest.mark.slow
def test_verify_that_finds_something_exits_with_1_and_advises(world: World) -> None:
    clean = bookingdb(world.url, "verify")
    assert (clean.exit_code, clean.stdout) == (0, "Verified: no findings.\n")

    world.run("alter table public.sessions disable trigger _bookingdb_audit")
    broken = bookingdb(world.url, "verify")
    assert broken.exit_code == 1
    assert "_bookingdb_audit" in broken.stdout
    assert "migrate --reapply" in broken.stdout
    (finding,) = json.loads(bookingdb(world.url, "verify", "--json").stdout)
    assert finding["problem"] in broken.stdout

    assert bookingdb(world.url, "migrate", "--reapply").exit_code == 0
    assert bookingdb(world.url, "verify").exit_code == 0


@pytest.mark.slow
def test_selftest_prints_a_line_a_check(world: World) -> None:
    result = bookingdb(world.url, "selftest")
    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) > 8
    assert all(check["passed"] for check in answer(world.url, "selftest"))


def test_from_registering_to_booking(world: World) -> None:
    therapist = answer(world.url, "register", "therapist", "grace@example.com", "--time-zone", "Europe/Berlin")["id"]
    client = answer(world.url, "register", "client", "ada@example.com", "--name", "Ada")["id"]
    granted = answer(
        world.url, "credits", "grant", client, 2, "--payment-reference", "pi_1", "--expires-at", "2999-01-01T00:00Z"
    )
    assert granted["credits_balance"] == 2

    slot = ("--therapist", therapist, "--date", TOMORROW)
    assert bookingdb(world.url, "check", *slot, "--from", "10:00", "--to", "11:00").stdout == "free\n"
    session = answer(world.url, "book", "--user", client, *slot, "--time", "10:00")
    assert session["time_zone"] == "Europe/Berlin"
    assert session["credits_balance"] == 1

    taken = bookingdb(world.url, "check", *slot, "--from", "10:30", "--to", "11:30")
    assert (taken.exit_code, taken.stdout) == (1, f"not free: taken; next free: {TOMORROW} 11:00 Europe/Berlin\n")
    assert bookingdb(world.url, "credits", "balance", client).stdout == "1\n"
    assert [entry["kind"] for entry in answer(world.url, "credits", "history", client)] == ["debit", "grant"]
    assert [found["id"] for found in answer(world.url, "sessions", "--user", client)] == [session["id"]]
    assert session["id"] in bookingdb(world.url, "sessions", "--therapist", therapist).stdout


def test_check_tells_a_time_that_is_taken_from_one_that_is_off(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    done(world.url, "hours", "set", therapist, "mon-sun 09:00-12:00")
    world.book(client, therapist, "10:00")
    asked = ("check", "--therapist", therapist, "--date", TOMORROW)
    for start, end, state, why, free in (
        ("10:07", "11:07", "taken", "taken", "11:00"),
        ("08:30", "09:30", "off", "outside of hours or of the booking window, or in time off", "09:00"),
        ("23:30", "00:30", "off", "outside of hours or of the booking window, or in time off", None),
    ):
        told = bookingdb(world.url, *asked, "--from", start, "--to", end)
        day, time = (TOMORROW, free) if free else (TOMORROW + dt.timedelta(days=1), "09:00")
        assert (told.exit_code, told.stdout) == (1, f"not free: {why}; next free: {day} {time} UTC\n")
        told = bookingdb(world.url, *asked, "--from", start, "--to", end, "--json")
        assert json.loads(told.stdout) == {"conflict": True, "state": state}
    # The grid of slots has no such length.
    told = bookingdb(world.url, *asked, "--from", "08:00", "--to", "18:00")
    assert (told.exit_code, told.stdout) == (1, "not free\n")
    assert answer(world.url, *asked, "--from", "09:00", "--to", "10:00") == {"conflict": False, "state": "free"}


def test_a_session_from_the_hold_to_its_end(world: World) -> None:
    client, therapist = world.client(credits=4), world.therapist("Europe/Berlin")
    slot = ("--user", client, "--therapist", therapist, "--date", TOMORROW, "--time", "10:00")

    before = dt.datetime.now(dt.UTC)
    held = answer(world.url, "hold", *slot, "--duration", "30", "--ttl", "10m", "--idempotency-key", "k")
    ends_in = dt.datetime.fromisoformat(held["expires_at"]) - before
    assert dt.timedelta(minutes=10) < ends_in < dt.timedelta(minutes=11)
    assert bookingdb(world.url, "release", held["id"]).stdout == f"{held['id']}\n"
    assert answer(world.url, "release", held["id"]) == {"released": held["id"]}

    hold = answer(world.url, "hold", *slot)
    session = answer(world.url, "book-hold", hold["id"], "--notes", "first", "--idempotency-key", "k")
    assert (session["id"], session["description"], session["credits_balance"]) == (hold["id"], "first", 3)

    moved = answer(world.url, "reschedule", session["id"], "--date", TOMORROW, "--time", "12:00", "--duration", 45)
    assert (moved["scheduled_time"], moved["duration_minutes"], moved["time_zone"]) == (
        "12:00:00",
        45,
        "Europe/Berlin",
    )
    at = f"{TOMORROW}T15:00+00:00"
    moved = answer(world.url, "reschedule", session["id"], "--starts-at", at, "--time-zone", "UTC")
    assert (moved["scheduled_time"], moved["duration_minutes"], moved["time_zone"]) == ("15:00:00", 45, "UTC")

    assert answer(world.url, "confirm", session["id"], "--idempotency-key", "k")["status"] == "confirmed"
    early = bookingdb(world.url, "start", session["id"])
    assert (early.exit_code, early.stdout) == (1, "")
    assert "bookingdb: invalid_transition: " in early.stderr
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=50)
    world.run(
        "update sessions set start_time = %s, end_time = %s where id = %s",
        *(soon, soon + dt.timedelta(minutes=45), session["id"]),
    )
    assert answer(world.url, "start", session["id"])["status"] == "in_progress"
    early = bookingdb(world.url, "complete", session["id"])
    assert (early.exit_code, early.stdout) == (1, "")
    assert "bookingdb: invalid_transition: " in early.stderr

    for command, status in (("complete", "completed"), ("no-show", "no_show")):
        over = world.scalar(
            "insert into sessions (user_id, therapist_id, start_time, end_time) values (%s, %s, %s, %s) returning id",
            *(client, therapist, "2020-01-01T10:00Z", "2020-01-01T11:00Z"),
        )
        assert answer(world.url, command, over)["status"] == status
    pending = world.scalar(
        "insert into sessions (user_id, therapist_id, start_time, end_time, status)"
        " values (%s, %s, %s, %s, 'pending_approval') returning id",
        *(client, therapist, f"{TOMORROW}T20:00Z", f"{TOMORROW}T21:00Z"),
    )
    approved = answer(world.url, "approve", pending)
    assert (approved["status"], approved["credits_balance"]) == ("scheduled", 2)


def test_cancelling_returns_the_credit_or_keeps_it(world: World) -> None:
    client, therapist = world.client(credits=3), world.therapist()
    for at, option, refunded in (("10:00", [], True), ("11:00", ["--refund"], True), ("12:00", ["--no-refund"], False)):
        session = world.book(client, therapist, at)["id"]
        cancelled = answer(world.url, "cancel", session, "--reason", "ill", *option)
        assert (cancelled["status"], cancelled["refunded"]) == ("cancelled", refunded)
        assert world.scalar("select cancellation_reason from sessions where id = %s", session) == "ill"

    printed = bookingdb(world.url, "cancel", world.book(client, therapist, "13:00")["id"], "--idempotency-key", "k")
    assert "cancelled" in printed.stdout
    assert "refunded" in printed.stdout
    assert world.balance(client) == 2


def test_a_series_is_printed_as_a_table_or_a_list(world: World) -> None:
    client, therapist = world.client(credits=5), world.therapist()
    slot = ("--user", client, "--therapist", therapist, "--date", TOMORROW, "--occurrences")

    printed = bookingdb(world.url, "book-series", *slot, 2, "--time", "10:00")
    series = answer(world.url, "book-series", *slot, 3, "--time", "12:00", "--every", "2 days", "--type", "chat")

    assert printed.exit_code == 0, printed.output
    for days in (0, 7):
        assert str(TOMORROW + dt.timedelta(days=days)) in printed.stdout
    assert [session["scheduled_date"] for session in series] == [
        str(TOMORROW + dt.timedelta(days=days)) for days in (0, 2, 4)
    ]
    assert [(session["session_type"], session["credits_balance"]) for session in series] == [
        ("chat", 2),
        ("chat", 1),
        ("chat", 0),
    ]


def test_credits_expire_with_a_day_or_at_an_instant(world: World) -> None:
    answer(world.url, "policy", "set", "--time-zone", "Pacific/Auckland")
    for end in ("2031-01-10", "2031-01-10T11:00Z"):
        lot = answer(world.url, "credits", "grant", world.client(), 1, "--expires", end)["lot_id"]
        expiry = world.scalar("select expires_at from user_credits where id = %s", lot)
        assert expiry == dt.datetime(2031, 1, 10, 11, tzinfo=dt.UTC)


def test_people_are_deactivated_and_activated(world: World) -> None:
    client, therapist = world.client(), world.therapist()
    active = "select is_active from users where id = %s"
    for kind, person in (("client", client), ("therapist", therapist)):
        assert answer(world.url, "deactivate", kind, person) == {"deactivated": str(person)}
        assert not world.scalar(active, person)
        email = world.scalar("select email from users where id = %s", person)
        again = bookingdb(world.url, "register", kind, email)
        assert (again.exit_code, again.stdout) == (1, "")
        assert "bookingdb: person_inactive: " in again.stderr
        assert bookingdb(world.url, "activate", kind, person).stdout == f"{person}\n"
        assert world.scalar(active, person)
        assert bookingdb(world.url, "activate", kind, uuid4()).exit_code == 1


def test_credits_are_corrected_revoked_and_expired(world: World) -> None:
    client = str(world.client())
    gift = answer(world.url, "credits", "grant", client, 2, "--category", "promotional", "--priority", 7)
    assert world.run("select category, priority from user_credits where id = %s", gift["lot_id"]) == [
        ("promotional", 7)
    ]
    added = answer(world.url, "credits", "adjust", client, 5, "--reason", "forgotten", "--idempotency-key", "k")
    assert added["credits_balance"] == 7
    assert answer(world.url, "credits", "adjust", client, -3, "--reason", "twice", "--lot", added["lot_id"]) == {
        "lot_id": added["lot_id"],
        "lot_balance": 2,
        "credits_balance": 4,
        "is_new": True,
    }
    answer(world.url, "credits", "grant", client, 6, "--payment-reference", "pi_1")
    revoked = answer(world.url, "credits", "revoke", "--payment-reference", "pi_1", "--reason", "chargeback")
    assert (revoked["credits_revoked"], revoked["credits_spent"], revoked["credits_balance"]) == (6, 0, 4)
    given = answer(world.url, "credits", "reinstate", "--payment-reference", "pi_1", "--reason", "won")
    assert (given["credits_reinstated"], given["credits_balance"]) == (6, 10)
    half = answer(world.url, "credits", "revoke", "--payment-reference", "pi_1", "--share", "1/2")
    assert (half["credits_revoked"], half["credits_balance"]) == (3, 7)
    later = ("credits", "revoke", "--payment-reference", "pi_2")
    assert bookingdb(world.url, *later).exit_code == 1
    assert "revoked when it is" in bookingdb(world.url, *later, "--remember").stdout
    assert answer(world.url, "credits", "revoke", gift["lot_id"])["credits_revoked"] == 2
    for share in ("half", "1/0", "nan", "1/"):
        assert "is no share" in bookingdb(world.url, *later, "--share", share).stderr
    world.run("update user_credits set expires_at = '2020-01-01' where id = %s", added["lot_id"])
    assert answer(world.url, "credits", "expire") == {"lots": 1, "credits": 2}

    period = ("--from", "2020-01-01T00:00Z", "--to", "2900-01-01T00:00Z")
    lines = answer(world.url, "credits", "statement", client, *period)
    assert [line["amount"] for line in lines] == [None, 2, 5, -3, 6, -6, 6, -3, -2, -2, None]
    assert (lines[0]["kind"], lines[-1]["kind"], lines[-1]["balance"]) == ("opening", "closing", 3)
    printed = bookingdb(world.url, "credits", "statement", client, *period).stdout
    assert "chargeback" in printed
    assert world.violations() == []


def test_credits_are_passed_on(world: World) -> None:
    giver, receiver = world.client(credits=3), world.client()
    passed_on = answer(world.url, "credits", "transfer", giver, receiver, 2, "--reason", "a present")
    assert (passed_on["amount"], passed_on["from_balance"], passed_on["to_balance"]) == (2, 1, 2)
    assert answer(world.url, "credits", "history", receiver)[0]["kind"] == "transfer"
    assert world.violations() == []


def test_packages_are_set_listed_and_granted(world: World) -> None:
    package = answer(
        world.url, "packages", "set", "Monthly", 4, "--validity", "1 month", "--price", "price_4", "--rollover-cap", 2
    )
    assert package == {
        "id": package["id"], "name": "Monthly", "credits": 4, "validity": "1 month", "price_reference": "price_4",
        "rollover_cap": 2, "category": "paid", "priority": 50, "is_active": True,
    }  # fmt: skip
    assert answer(world.url, "packages", "list") == [package]
    client = str(world.client())
    assert answer(world.url, "packages", "grant", client, "monthly")["lot_balance"] == 4
    assert answer(world.url, "packages", "grant", client, package["id"])["credits_balance"] == 6
    answer(world.url, "packages", "set", "Four", 4, "--inactive", "--id", package["id"])
    assert answer(world.url, "packages", "list") == []
    assert [listed["name"] for listed in answer(world.url, "packages", "list", "--all")] == ["Four"]


def test_a_policy_is_shown_set_and_set_back(world: World) -> None:
    therapist = str(world.therapist(None))
    for_therapist = ("--therapist", therapist)
    default = answer(world.url, "policy", "show")
    settings: Any = DEFAULTS
    assert default == Policy(None, **settings).to_dict()
    assert list(default) == ["therapist_id", *DEFAULTS]
    assert answer(world.url, "policy", "set", "--refund-grace", "60d")["refund_grace"] == "60 days"

    window = ("--cancellation-window", "36 hours", "--time-zone", "Asia/Tokyo")
    durations = ("--minimum-duration-minutes", 30, "--maximum-duration-minutes", 60, "--hold-lifetime", "90s")
    buffers = ("--buffer-before-minutes", 5, "--buffer-after-minutes", 10, "--minimum-notice", "12h")
    slots = ("--maximum-advance", "90d", "--slot-step-minutes", 30, "--slot-offset-minutes", 10)
    limits = ("--maximum-sessions-per-day", 6, "--maximum-sessions-per-week", 25, "--require-hours", "yes")
    anchor = ("--slot-anchor", "midnight")
    given = (*window, *durations, *buffers, *slots, *limits, *anchor)
    changed = answer(world.url, "policy", "set", *for_therapist, *given)
    assert changed == {
        **default,
        "therapist_id": therapist,
        "time_zone": "Asia/Tokyo",
        "minimum_duration_minutes": 30,
        "maximum_duration_minutes": 60,
        "cancellation_window": "1 day 12:00:00",
        "refund_grace": "60 days",
        "hold_lifetime": "00:01:30",
        "buffer_before_minutes": 5,
        "buffer_after_minutes": 10,
        "minimum_notice": "12:00:00",
        "maximum_advance": "90 days",
        "slot_step_minutes": 30,
        "slot_offset_minutes": 10,
        "maximum_sessions_per_day": 6,
        "maximum_sessions_per_week": 25,
        "require_hours": True,
        "slot_anchor": "midnight",
    }
    # What was printed may be given again.
    again = answer(world.url, "policy", "set", *for_therapist, "--cancellation-window", changed["cancellation_window"])
    assert again == changed == answer(world.url, "policy", "show", *for_therapist)

    everything = [f"--{name.replace('_', '-')}" for name in changed if name != "therapist_id"]
    back = [argument for option in everything for argument in (option, "default")]
    assert answer(world.url, "policy", "set", *for_therapist, *back) == {
        **default,
        "therapist_id": therapist,
        "refund_grace": "60 days",
    }
    for refused in (("set", "--hold-lifetime", "default"), ("set", "--hold-lifetime", "2h")):
        result = bookingdb(world.url, "policy", *refused)
        assert result.exit_code == 1
        assert "bookingdb: invalid_parameter: " in result.stderr
    assert "12:00:00" not in bookingdb(world.url, "policy", "show").stdout


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("90s", {"seconds": 90}),
        ("5m", {"minutes": 5}),
        ("24h", {"hours": 24}),
        ("1 day", {"days": 1}),
        ("2 weeks", {"weeks": 2}),
        ("1 day 12 hours", {"hours": 36}),
        ("1 day 12:00:00", {"hours": 36}),
        ("00:00:00", {}),
        ("1h30m", {"minutes": 90}),
    ],
)
def test_a_length_of_time_is_read_in_many_ways(text: str, duration: dict[str, int]) -> None:
    assert DURATION.convert(text, None, None) == dt.timedelta(**duration)


@pytest.mark.parametrize(
    "text", ["", " ", "5", "-5m", "5 months", "1.5h", "10m 1h", "12:00", "1:00:00", "00:60:00", "5m\n", "9" * 99 + "s"]
)
def test_wrong_length_of_time_is_wrong_usage(text: str) -> None:
    with pytest.raises(click.BadParameter, match="no length of time"):
        DURATION.convert(text, None, None)


def test_reschedule_without_a_time_is_wrong_usage() -> None:
    result = bookingdb("", "reschedule", uuid4(), "--duration", 45)
    assert (result.exit_code, "--date and --time, or --starts-at" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["credits", "balance", uuid4()], "user_not_found"),
        (["credits", "balance", "me"], "invalid_user_id"),
        (["credits", "grant", uuid4(), "0"], "invalid_parameter"),
        (["book", "--user", uuid4(), "--therapist", uuid4(), "--date", TOMORROW, "--time", "24:00"], "invalid_time"),
        (
            ["book", "--user", uuid4(), "--therapist", uuid4(), "--starts-at", f"{TOMORROW}T10:00Z"],
            "therapist_not_found",
        ),
        (["register", "client", "nobody"], "invalid_parameter"),
        (["cancel", uuid4()], "session_not_found"),
        (["cancel", "mine"], "invalid_session_id"),
        (["confirm", uuid4()], "session_not_found"),
        (["reschedule", uuid4(), "--date", TOMORROW, "--time", "10:00"], "session_not_found"),
        (["release", uuid4()], "hold_not_found"),
        (["book-hold", "mine"], "invalid_parameter"),
        (["credits", "revoke", uuid4()], "lot_not_found"),
        (["credits", "revoke"], "invalid_parameter"),
        (["credits", "adjust", uuid4(), "-1", "--reason", "r"], "user_not_found"),
        (["credits", "transfer", uuid4(), uuid4(), "1", "--reason", "r"], "user_not_found"),
        (["packages", "set", "Ten", "10", "--id", uuid4()], "package_not_found"),
        (["packages", "set", "Ten", "0"], "invalid_parameter"),
        (["policy", "show", "--therapist", uuid4()], "therapist_not_found"),
        (["policy", "set", "--time-zone", "Mars"], "invalid_time_zone"),
    ],
)
def test_refusal_is_one_line_on_standard_error(world: World, arguments: list[object], code: str) -> None:
    result = bookingdb(world.url, *arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    which, refusal = result.stderr.splitlines()
    assert "database test_" in which
    assert refusal.startswith(f"bookingdb: {code}: ")


def test_usage_errors_and_an_unreachable_database_exit_with_2() -> None:
    unreachable = "postgresql://ann:secret@127.0.0.1:1/none"
    for arguments in (["migrate"], ["status"], ["verify"], ["lint"], ["selftest"], ["sessions"]):
        result = bookingdb(unreachable, *arguments)
        assert result.exit_code == 2
        assert len(result.stderr.splitlines()) == 1
        assert "secret" not in result.output
    assert bookingdb(unreachable, "book").exit_code == 2
    assert bookingdb(unreachable, "sessions", "--from", "yesterday").exit_code == 2
    assert bookingdb(unreachable, "sessions", "--from", "2030-01-01T10:00").exit_code == 2
    for arguments in (
        ["hold", "--user", "u", "--therapist", "t", "--ttl", "soon"],
        ["book-series", "--user", "u", "--therapist", "t", "--date", "2030-01-01", "--time", "10:00"],
        ["credits", "adjust", "u", "-1"],
        ["credits", "adjust", "u", "-1", "--raeson", "r"],
        ["credits", "adjust", "u", "-x", "--reason", "r"],
        ["credits", "grant", "u", "1", "--category", "stolen"],
        ["credits", "statement", "u", "--from", "2030-01-01T00:00Z"],
        ["policy", "set"],
        ["policy", "set", "--minimum-duration-minutes", "half an hour"],
        ["policy", "set", "--require-hours", "perhaps"],
    ):
        result = bookingdb(unreachable, *arguments)
        assert result.exit_code == 2
        assert result.stderr.startswith("Usage: "), arguments


def test_a_database_without_bookingdb_says_how_to_install_it(empty_database: str) -> None:
    result = bookingdb(empty_database, "credits", "balance", uuid4())
    assert result.exit_code == 1
    assert "bookingdb migrate" in result.stderr


def test_list_of_commands_imports_nothing_they_need() -> None:
    program = """
import sys
from bookingdb.cli.main import main

main(["--help"], standalone_mode=False)
print("imported:", *sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    listed, _, imported = done.stdout.partition("imported:")

    assert "book-hold" in listed
    assert "bookingdb.cli" in imported.split()
    ours = [name for name in imported.split() if name.startswith("bookingdb.cli.")]
    assert sorted(ours) == ["bookingdb.cli.commands", "bookingdb.cli.main"]
    heavy = {"psycopg", "rich", "icalendar", "asyncio", "sqlalchemy", "bookingdb.cli.console", "bookingdb.adoption"}
    assert heavy & set(imported.split()) == set()


def test_commands_are_listed_with_the_help_that_they_have() -> None:
    context = click.Context(cli.main, info_name="bookingdb")
    found = {name: cli.main.get_command(context, name) for name in cli.main.list_commands(context)}
    commands = {name: command for name, command in found.items() if command and not command.hidden}

    assert {name: command.name for name, command in commands.items()} == {name: name for name in commands}
    # As click lists commands that are all there.
    with_all = click.Group("bookingdb", commands=commands)
    ours, of_click = context.make_formatter(), context.make_formatter()
    cli.main.format_commands(context, ours)
    with_all.format_commands(context, of_click)
    assert ours.getvalue() == of_click.getvalue()


def test_bench_says_where_it_went() -> None:
    done = CliRunner().invoke(cli.main, ["bench", "slots", "--sessions", "10"])

    assert done.exit_code == 1
    assert "no longer installed: in a checkout, run `python -m tests.benchmark`" in done.stderr


def test_a_command_that_does_not_exist_is_wrong_usage() -> None:
    result = CliRunner().invoke(cli.main, ["bok"])

    assert result.exit_code == 2
    assert "No such command 'bok'" in result.stderr
