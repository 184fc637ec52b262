"""What people wrote is printed as text, whatever is in it; and what a command has done, no output undoes."""

from __future__ import annotations

import datetime as dt
import io
import json
import os
import re
import subprocess
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
import pytest
from click.testing import CliRunner
from psycopg import sql

from bookingdb import cli as exit_codes
from bookingdb.cli import console, output
from bookingdb.cli import main as cli
from bookingdb.errors import BY_CODE, BookingConflict, InvalidParameter
from bookingdb.text import printable, without_passwords
from tests.support import ROOT, TOMORROW, World
from tests.support.commands import COMMANDS, bookingdb, done
from tests.support.life import begin, call, rows

# Markup that names no tag, markup that does, an emoji's name; escape sequences with one and two bytes, a bell, DEL;
# what turns the direction around, and what ends a line, for some readers or for all.
POISON = "a [/b] c [red]x[/red] :smile: \x1b[31m\x1b]0;t\x07\x9b31m\x7f\u202e\u2066\u2028\u2029\x85\r\nBEGIN:\vX"
HARMFUL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
DAYS = ("--from", TOMORROW.isoformat(), "--to", (TOMORROW + dt.timedelta(days=30)).isoformat())


@pytest.fixture
def poisoned(world: World) -> World:
    """A database in which every text that people may choose is the poison, and so is a name of every kind of object."""
    for statement in (
        "create function public.{name}() returns trigger language plpgsql as 'begin return new; end'",
        "create trigger {name} after insert on public.sessions for each row execute function public.{name}()",
        "create table public.{name} ({name} int)",
        "create view public.{view} as select user_id as {name} from public.sessions",
        "create function bookingdb.{name}() returns int language sql as 'select 1'",
        "alter table public.sessions add column {name} text",
    ):
        # A name has 63 bytes.
        names = {"name": sql.Identifier(POISON[:8] + POISON[29:]), "view": sql.Identifier("v" + POISON[29:])}
        world.connection.execute(sql.SQL(statement).format(**names))
    return world


def printed_by(world: World, folder: Path) -> dict[tuple[str, ...], list[tuple[object, ...]]]:
    """Words for each command with which it prints, most of them what was poisoned."""
    therapist, client = world.therapist(), world.client(credits=30)
    people = ("--user", client, "--therapist", therapist)
    texts = ("--title", POISON, "--notes", POISON)
    hours = iter(f"{hour:02}:{minute:02}" for hour in range(24) for minute in (0, 30))

    def session(**options: Any) -> Any:
        return world.book(client, therapist, next(hours), duration_minutes=30, title=POISON, notes=POISON, **options)[
            "id"
        ]

    def slot(minutes: int = 30) -> tuple[object, ...]:
        return (*people, "--date", TOMORROW, "--time", next(hours), "--duration", minutes)

    def held() -> Any:
        return call(world.connection, "hold_slot", user_id=client, therapist_id=therapist, session_date=TOMORROW,
                    session_time=next(hours), duration_minutes=30)["id"]  # fmt: skip

    off = rows(world.connection, "add_time_off", therapist_id=therapist, start=dt.datetime(2031, 1, 1, tzinfo=dt.UTC),
               end=dt.datetime(2031, 1, 2, tzinfo=dt.UTC), reason=POISON)[0]["id"]  # fmt: skip
    lot = call(world.connection, "grant_credits", user_id=client, amount=1, payment_reference=POISON)["lot_id"]
    ending = call(world.connection, "grant_credits", user_id=client, amount=1, expires_on="2980-01-01")["lot_id"]
    package = call(world.connection, "set_package", name="Five", credits=5)["id"]
    request = world.scalar(
        "insert into sessions (user_id, therapist_id, start_time, end_time, status, title)"
        " values (%s, %s, %s, %s, 'pending_approval', %s) returning id",
        client, therapist, f"{TOMORROW}T23:00Z", f"{TOMORROW}T23:30Z", POISON,
    )  # fmt: skip
    cancelled = session()
    call(world.connection, "cancel_session", session_id=cancelled)
    begun = [session() for _ in range(3)]
    waiting = held()
    for minutes, begun_session in zip((70, 35, 1), begun, strict=True):
        begin(world.connection, begun_session, minutes)
    refunded, missed = session(), session()
    for cancelled in (refunded, missed):
        call(world.connection, "cancel_session", session_id=cancelled, refund=False)
    call(world.connection, "refund_session", session_id=refunded, reason=POISON)
    nowhere = folder / "a file" / printable(POISON).replace("/", "|") / "\x1b[31m\n"
    (folder / "a file").touch()
    calendar = Path(__file__).parent / "calendars" / "google.ics"
    return {
        ("adopt",): [("--plan",), ("--report",), ("--apply", nowhere)],
        ("approve",): [(request,)],
        ("book",): [(*slot(), *texts), (*slot(), "--type", POISON)],
        ("book-hold",): [(held(), *texts)],
        ("book-series",): [
            (*people, "--date", TOMORROW + dt.timedelta(days=60), "--time", "10:00", "--occurrences", 2, *texts),
            (*people, "--date", TOMORROW + dt.timedelta(days=60), "--time", "10:00", "--occurrences", 3, "--skip"),
        ],
        ("busy", "import"): [(calendar, therapist, "--source", POISON), (nowhere, therapist, "--source", "a")],
        ("cancel",): [(session(), "--reason", POISON), (session(), "--rest")],
        ("check",): [("--therapist", therapist, "--date", TOMORROW, "--from", "10:00", "--to", "11:00")],
        ("complete",): [(begun[0],)],
        ("confirm",): [(session(),)],
        ("credits", "adjust"): [(client, 1, "--reason", POISON)],
        ("credits", "balance"): [(client,)],
        ("credits", "expire"): [()],
        ("credits", "extend"): [(ending, "--expires", "2990-01-01", "--reason", POISON)],
        ("credits", "freeze"): [(lot, "--reason", POISON)],
        ("credits", "lots"): [(client, "--all")],
        ("credits", "thaw"): [(lot, "--reason", POISON)],
        ("credits", "grant"): [(client, 1, "--payment-reference", POISON + "2")],
        ("credits", "history"): [(client,)],
        ("credits", "revoke"): [(lot, "--reason", POISON), ("--payment-reference", POISON, "--share", "1/3")],
        ("credits", "reinstate"): [(lot, "--reason", POISON)],
        ("credits", "statement"): [(client, "--from", "2000-01-01T00:00Z", "--to", "2900-01-01T00:00Z")],
        ("credits", "transfer"): [(client, world.client(), 1, "--reason", POISON)],
        ("deliveries", "list"): [(), ("--destination", POISON)],
        ("deliveries", "replay"): [("crm",), (POISON,)],
        ("deliveries", "status"): [()],
        ("destinations", "add"): [
            ("crm", "--url", "http://127.0.0.1:1/", "--setting", f"note={POISON}"),
            (POISON, "--url", POISON),
        ],
        ("destinations", "disable"): [("crm",), (POISON,)],
        ("destinations", "enable"): [("crm",)],
        ("destinations", "list"): [()],
        ("destinations", "rotate"): [("crm",), ("crm", "--end"), (POISON,)],
        ("destinations", "test"): [("crm",), (POISON,)],
        ("explain",): [(refunded,)],
        ("export",): [("--output", nowhere), ()],
        ("feed", "create"): [(client,), (POISON,)],
        ("feed", "revoke"): [(client,)],
        ("feed", "show"): [(world.scalar("select create_calendar_feed(%s)", therapist),), (POISON,)],
        ("find",): [()],
        ("hold",): [slot()],
        ("housekeeping",): [(), ("--dry-run",)],
        ("holds",): [(), (waiting,)],
        ("hours", "override"): [(therapist, TOMORROW, "as-usual")],
        ("hours", "set"): [(therapist, "mon-sun 00:00-24:00"), (therapist, POISON)],
        ("hours", "show"): [(therapist,)],
        ("ics",): [(therapist, *DAYS), (therapist, *DAYS, "--output", folder / "\x1b[31m\n.ics")],
        ("lint",): [()],
        ("local", "psql-url"): [("--data-dir", nowhere)],
        ("local", "reset"): [("--yes", "--data-dir", nowhere)],
        ("local", "start"): [("--data-dir", nowhere)],
        ("local", "status"): [("--data-dir", nowhere)],
        ("local", "stop"): [("--data-dir", nowhere)],
        ("migrate",): [("--dry-run",), ("--reapply",)],
        ("next",): [(therapist,)],
        ("no-show",): [(begun[1],)],
        ("packages", "grant"): [(client, package), (client, "--price", POISON, "--payment-reference", POISON + "3")],
        ("packages", "list"): [(), ("--all",)],
        ("packages", "set"): [(POISON, 10, "--price", POISON), ("Ten", 10, "--validity", POISON)],
        ("people", "find"): [(client,), (POISON,), ("client",)],
        ("people", "change-email"): [(world.client(), "poison3@example.com"), (world.client(), "--none")],
        ("people", "change-login"): [(world.client(), uuid4())],
        ("people", "contact"): [(client,), (client, "--language", POISON), (client, "--clear", POISON)],
        ("people", "merge"): [(world.client(credits=2), world.client(), "--reason", POISON)],
        ("people", "erase"): [(world.client(), "--keep", "payments")],
        ("people", "export"): [(client,)],
        ("policy", "set"): [("--time-zone", POISON), ("--refund-grace", "40d")],
        ("policy", "show"): [()],
        ("record",): [(*people, "--date", TOMORROW - dt.timedelta(days=9), "--time", "10:00", *texts)],
        ("refund",): [(missed, "--reason", POISON)],
        ("refusals",): [(client,), (POISON + "@",)],
        ("activate", "client"): [(client,)],
        ("activate", "therapist"): [(therapist,)],
        ("deactivate", "client"): [(world.client(),)],
        ("deactivate", "therapist"): [(world.therapist(),)],
        ("register", "client"): [("poison@example.com", "--name", POISON), (POISON,)],
        ("register", "therapist"): [("poison2@example.com", "--name", POISON)],
        ("release",): [(held(),)],
        ("reminders", "list"): [()],
        ("reminders", "remove"): [("hour",), (POISON,)],
        ("reminders", "set"): [("day", "24h"), (POISON, "1h", "--channel", POISON)],
        ("reopen",): [(cancelled, "--reason", POISON)],
        ("reschedule",): [(session(), "--date", TOMORROW, "--time", "22:00")],
        ("selftest",): [()],
        ("session",): [(begun[0],)],
        ("sessions",): [(), ("--limit", 2), ("--status", POISON), ("--after", POISON)],
        ("slots",): [(therapist, "--days", 3), (therapist, "--time-zone", POISON)],
        ("start",): [(begun[2],)],
        ("transfer",): [(session(), world.therapist(), "--reason", POISON)],
        ("status",): [()],
        ("therapists",): [(), ("--all",)],
        ("time-off", "add"): [(therapist, "--from", "2031-02-01", "--to", "2031-02-02", "--reason", POISON)],
        ("time-off", "list"): [(therapist, "--from", "2031-01-01", "--to", "2031-01-03")],
        ("time-off", "remove"): [(off,)],
        ("time-zones", "realign"): [(therapist,)],
        ("time-zones", "refresh"): [()],
        ("trust",): [("stranger",), (POISON,)],
        ("uninstall",): [("--dry-run",)],
        ("verify",): [()],
        ("worker",): [("--once",), ("--once", "--destination", POISON)],
        ("destinations", "remove"): [("crm", "--yes"), (POISON, "--yes")],
    }


# Those that print what people wrote, or what they named, in words. (Errors fold its white space.)
SHOWS_POISON = (
    ("adopt",), ("book",), ("credits", "statement"), ("explain",), ("export",), ("lint",),
    ("local", "status"), ("time-off", "add"), ("time-off", "list"), ("verify",),
)  # fmt: skip


@pytest.mark.slow
def test_every_command_prints_poison_as_text(poisoned: World, tmp_path: Path) -> None:
    words = printed_by(poisoned, tmp_path)
    assert set(words) == set(COMMANDS), "a command that prints has an entry here"

    shown = dict.fromkeys(SHOWS_POISON, False)
    for command, calls in words.items():
        for arguments in calls:
            for options in ([], ["--json"] if "as_json" in {p.name for p in COMMANDS[command].params} else []):
                result = bookingdb(poisoned.url, *command, *arguments, *options)
                where = (command, arguments, options, result.output)
                assert not HARMFUL.findall(result.stderr), where
                if command == ("ics",) and result.exit_code == 0 and not options:
                    # The lines of the format end with two characters; nothing else in it is one.
                    assert not HARMFUL.findall(result.stdout_bytes.decode().replace("\r\n", "\n")), where
                else:
                    assert not HARMFUL.findall(result.stdout), where
                assert result.exception is None or isinstance(result.exception, SystemExit), where
                if options and result.stdout:
                    json.loads(result.stdout)
                elif command in shown:
                    shown[command] |= printable(POISON[29:]) in result.output
    assert {command for command, is_shown in shown.items() if not is_shown} == set()


WHOLE_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[Mapping[str, Any]]]:
    """A terminal of 80 columns; the rows of each table that is drawn."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    drawn: list[Sequence[Mapping[str, Any]]] = []
    draw = console._table

    def record(rows: Sequence[Mapping[str, Any]]) -> Any:
        drawn.append(rows)
        return draw(rows)

    monkeypatch.setattr(console, "_table", record)
    return drawn


def lost(tables: Sequence[Sequence[Mapping[str, Any]]], shown: str) -> list[str]:
    """The words of tables' cells that are broken or missing in what was printed, and lines that are too long."""
    values = [printable(one) for rows in tables for row in rows for value in row.values() if value is not None
              for one in (value if isinstance(value, list) else [value])]  # fmt: skip
    words = {word for text in values for word in text.split()}
    broken = [word for word in words if len(word) <= 40 and word not in shown]
    return broken + [line for line in shown.splitlines() if len(line) > 80]


def test_tables_break_no_word_at_80_columns(tables: list[Sequence[Mapping[str, Any]]], capsys: Any) -> None:
    instant, code = "2027-08-02T08:00:00.123456+00:00", "create_session_with_credit_deduction"
    for table in (
        [{"therapist_id": "00000000-0000-4000-8000-000000000000", "start_time": instant, "end_time": instant}],
        [{"date": dt.date(2030, 1, 7), "skipped": code, "rule": "outside_availability", "next": instant}] * 2,
        [{"a": 1, "note": "a sentence of many words that can be folded " * 4, "at": instant}],
        [dict.fromkeys(("one_long_name", "another_long_name", "a_third_long_name", "and_a_fourth_long_name"), "1")],
    ):
        tables.clear()
        console.print_table(table)
        shown = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
        assert lost(tables, shown) == [], shown
        assert all(name in shown for name in table[0]), shown


@pytest.mark.slow
def test_every_id_is_whole_at_80_columns(
    poisoned: World, tmp_path: Path, tables: list[Sequence[Mapping[str, Any]]]
) -> None:
    """And every other word of a table."""
    with_ids, with_tables = set(), set()
    for command, calls in printed_by(poisoned, tmp_path).items():
        for arguments in calls:
            tables.clear()
            shown = re.sub(r"\x1b\[[0-9;]*m", "", bookingdb(poisoned.url, *command, *arguments).stdout)
            if tables:
                with_tables.add(command)
                assert lost(tables, shown) == [], (command, shown)
            whole = set(WHOLE_ID.findall(shown))
            if whole:
                with_ids.add(command)
            rest = WHOLE_ID.sub("", shown)
            assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{0,4}|-[0-9a-f]{4}-[0-9a-f]{0,4}\b", rest), (command, shown)
            # An export is JSON.
            if command != ("people", "export") and command[0] in (
                "people", "session", "sessions", "holds", "therapists", "find", "time-off"
            ):  # fmt: skip
                assert max(map(len, shown.splitlines()), default=0) <= 80, (command, shown)
    assert {
        ("sessions",),
        ("session",),
        ("holds",),
        ("people", "find"),
        ("therapists",),
        ("book",),
        ("find",),
    } <= with_ids
    assert {("credits", "statement"), ("book-series",), ("time-off", "list")} <= with_tables


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_poison_in_any_argument_is_printed_as_text(command: tuple[str, ...]) -> None:
    words: list[str] = []
    for parameter in COMMANDS[command].params:
        if isinstance(parameter, click.Argument):
            words.append(POISON)
        elif isinstance(parameter, click.Option) and not parameter.is_flag and parameter.name != "database_url":
            words += [parameter.opts[0], POISON]
    for extra in ([], [f"--{POISON}"]):
        result = bookingdb("postgresql://127.0.0.1:1/none", *command, *words, *extra)
        assert result.exit_code in (0, 1, 2)
        assert not HARMFUL.findall(result.output), result.output


def test_title_with_markup_is_booked_and_printed(world: World) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    slot = ("book", "--user", client, "--therapist", therapist, "--date", TOMORROW, "--title", "a [/b] c :smile:")

    printed = done(world.url, *slot, "--time", "10:00").stdout
    assert "a [/b] c :smile:" in printed


def test_calendar_file_has_no_line_of_a_client(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    world.book(client, therapist, title="a\rBEGIN:VALARM\r\nEND:VEVENT\x1b\x07 [/b]", notes="first\n\tsecond")

    lines = done(world.url, "ics", therapist, *DAYS).stdout_bytes.decode().split("\r\n")
    assert r"SUMMARY:a\\rBEGIN:VALARM\nEND:VEVENT\\x1b\\x07 [/b]" in lines
    assert "DESCRIPTION:first\\n\tsecond" in lines


# ----------------------------------------------------------------------------------------------------------------------
# Where the output goes
# ----------------------------------------------------------------------------------------------------------------------


def run_in_process(world: World, *words: object, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run a command in a process of its own, on this database."""
    environment = {**os.environ, "BOOKINGDB_DATABASE_URL": world.url, "PYTHONPATH": str(ROOT)}
    environment |= options.pop("environment", {})
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.run(
        [sys.executable, "-m", "bookingdb.cli", *map(str, words)], env=environment, check=False, **streams
    )


@pytest.fixture
def booking(world: World) -> tuple[object, ...]:
    return (
        "book", "--user", world.client(credits=9), "--therapist", world.therapist(), "--date", TOMORROW,
        "--title", "Gespräch 日本 ✓", "--time",
    )  # fmt: skip


def test_no_encoding_of_the_terminal_fails_a_booking(world: World, booking: tuple[object, ...]) -> None:
    encodings = ({"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}, {"PYTHONIOENCODING": "utf-16"})
    for number, environment in enumerate(encodings):
        for minute, options in (("00", []), ("30", ["--json"])):
            words = (*booking, f"1{number}:{minute}", "--duration", 30, *options)
            finished = run_in_process(world, *words, environment=environment)
            assert finished.returncode == 0, finished.stderr
    # In such a locale no argument of other letters can be read, but tables have lines.
    locale = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    assert run_in_process(world, "sessions", environment=locale).returncode == 0


def test_reader_that_ends_early_fails_no_booking(world: World, booking: tuple[object, ...]) -> None:
    for hour, options in ((10, []), (11, ["--json"])):
        reader, writer = os.pipe()
        os.close(reader)
        finished = run_in_process(world, *booking, f"{hour}:00", *options, stdout=writer)
        os.close(writer)
        assert (finished.returncode, finished.stderr.count(b"\n")) == (0, 1), finished.stderr
    assert world.count("sessions") == 2


def test_full_disk_is_an_exit_code_of_its_own(world: World, booking: tuple[object, ...]) -> None:
    with open("/dev/full", "wb") as full:
        finished = run_in_process(world, *booking, "10:00", stdout=full)
        refused = run_in_process(world, *booking, "10:00", "--json", stdout=full)
    assert finished.returncode == exit_codes.OUTPUT_LOST
    assert b"the output could not be written: No space left on device" in finished.stderr
    assert refused.returncode == exit_codes.REFUSED
    assert world.count("sessions") == 1


def test_closed_streams_fail_no_booking(world: World, booking: tuple[object, ...]) -> None:
    program = "import os, sys; os.close(1); os.close(2); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    environment = {**os.environ, "BOOKINGDB_DATABASE_URL": world.url, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", program, "-m", "bookingdb.cli", *map(str, booking), "10:00"]
    assert subprocess.run(words, env=environment, check=False).returncode == 0
    assert world.count("sessions") == 1


class Terminal(io.StringIO):
    """Standard output that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_document_is_text_where_a_terminal_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    output.print_document("select '\x1b[31m';\n\t-- [/b]\n")
    assert terminal.getvalue() == "select '\\x1b[31m';\n\t-- [/b]\n"


def test_everything_is_printed_by_one_module() -> None:
    printing = re.compile(
        r"\bclick\.s?echo\(|\bprint\(|\bConsole\(|\bsys\.std(?:out|err)\.write|\blogging\b|\bwarnings\b"
    )
    # The worker has a log; its command prints that by this module, too.
    logs = ("bookingdb/worker/", "bookingdb/cli/worker.py")
    found = [
        f"{name}: {line.strip()}"
        for path in sorted((ROOT / "bookingdb").rglob("*.py"))
        if path != Path(output.__file__)
        for name in [path.relative_to(ROOT).as_posix()]
        for line in path.read_text(encoding="utf-8").splitlines()
        if printing.search(line) and not re.match(r"\s*(?:>>>|\.\.\.|print\()", line)
        if not (name.startswith(logs) and "logging" in line)
    ]
    assert found == []


# ----------------------------------------------------------------------------------------------------------------------
# Errors
# ----------------------------------------------------------------------------------------------------------------------


def test_refusal_says_the_rule_and_what_is_free_next(world: World) -> None:
    client, therapist = world.client(credits=2), world.therapist("Europe/Berlin")
    world.book(client, therapist, "10:00")
    other = ("book", "--user", world.client(credits=1), "--therapist", therapist, "--date", TOMORROW, "--time", "10:30")

    said = bookingdb(world.url, *other).stderr.splitlines()[-1]
    assert said == (
        "bookingdb: booking_conflict: Booking conflict: time slot unavailable (rule: session;"
        f" next free: {TOMORROW} 11:00 Europe/Berlin). Choose another time."
    )


def test_error_says_its_detail_in_words() -> None:
    assert str(InvalidParameter({"parameter": "p_notes", "maximum_length": 9}, "Shorten it.")) == (
        "Invalid parameter (parameter: p_notes; maximum length: 9). Shorten it."
    )
    times = {"start_time": "2030-01-07T09:00:00Z", "end_time": "2030-01-07T10:00:00Z", "therapist_id": "an id"}
    free = "2030-01-07T12:00:00Z"
    for zone, shown in (("Asia/Tokyo", "21:00 Asia/Tokyo"), ("Mars/Base", "12:00 UTC"), (None, "12:00 UTC")):
        error = BookingConflict({**times, "rule": "hold", "time_zone": zone, "next_free": free})
        assert str(error) == f"{BookingConflict.message} (rule: hold; next free: 2030-01-07 {shown})"
    assert str(BookingConflict({**times, "rule": POISON, "next_free": None})) == (
        f"{BookingConflict.message} (rule: {printable(POISON)}; next free: none)"
    )
    for error_class in BY_CODE.values():
        assert str(error_class({"parameter": "p"})).startswith(error_class.message)


def test_json_errors_are_json(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    unreachable = "postgresql://ann:secret@127.0.0.1:1/none"
    refused = bookingdb(world.url, "cancel", client, "--json")
    assert (refused.exit_code, len(refused.stderr.splitlines())) == (1, 1)
    assert json.loads(refused.stdout) == {
        "error": {
            "code": "session_not_found",
            "message": "Session not found",
            "status": 404,
            "detail": {"code": "session_not_found", "session_id": str(client)},
            "hint": "No session has this id.",
        }
    }
    for url, words, code, exit_code in (
        (unreachable, ["sessions"], "database_unreachable", 2),
        (world.url, ["sessions", "--limit", "many"], "usage_error", 2),
        (world.url, ["sessions", "--nonsense"], "usage_error", 2),
        (world.url, ["bok"], "usage_error", 2),
        (world.url, ["bench"], "failed", 1),
        (world.url, ["export", "--output", "/dev/null/x"], "file_error", 1),
        (world.url, ["adopt", "--report"], "refused", 1),
        (world.url, ["next", therapist, "--duration", 5], "invalid_duration", 1),
    ):
        result = bookingdb(url, *words, "--json")
        assert result.exit_code == exit_code, (words, result.output)
        error = json.loads(result.stdout)["error"]
        assert (list(error), error["code"]) == (["code", "message", "status", "detail", "hint"], code), words
        assert "secret" not in result.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sessions", "--nonsense"], "No such option"),
        (["sessions", "--limit", "many"], "Invalid value for '--limit'"),
        (["bok"], "No such command 'bok'"),
        (["policy", "set"], "give at least one setting"),
        (["cancel"], "Missing argument"),
    ],
)
def test_usage_is_the_hint_of_a_json_error(words: list[str], message: str) -> None:
    error = json.loads(bookingdb("postgresql://127.0.0.1:1/none", *words, "--json").stdout)["error"]
    assert error["message"].startswith(message)
    assert "Usage:" not in error["message"]
    assert error["hint"].startswith("Usage: ")
    assert "--help" in error["hint"]


def test_line_break_in_an_argument_starts_no_line() -> None:
    name = "x\n\nError: y\nVerified: no findings."
    for words in (["verify", "--acknowledge", name], ["export", "--output", f"/dev/null/{name}"]):
        result = bookingdb("", *words)
        assert result.exit_code != 0
        assert not [line for line in result.stderr.splitlines() if line.startswith(("Verified", "Error: y"))], words


def test_debugging_says_where_and_stays_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOKINGDB_DEBUG", "1")
    result = CliRunner().invoke(cli.main, ["export", "--output", f"/dev/null/{POISON}"])
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert not HARMFUL.findall(result.stderr)


# ----------------------------------------------------------------------------------------------------------------------
# Passwords
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a postgresql://ann:se%40c:ret@host:5432/app b", "a postgresql://ann:***@host:5432/app b"),
        ("(postgres://ann:s@cr@host/app)", "(postgres://ann:***@host/app)"),
        ("postgresql+psycopg://:secret@/app", "postgresql+psycopg://:***@/app"),
        ("host=h password=secret user=ann", "host=h password=*** user=ann"),
        (r"password = 'a \' b' dbname=x", "password = *** dbname=x"),
        ("postgresql://h/app?user=ann&password=secret&sslmode=require", "postgresql://h/app?user=ann&password=***&sslmode=require"),
        ("postgresql://ann@host:5432/app at ann@example.com", "postgresql://ann@host:5432/app at ann@example.com"),
    ],
)  # fmt: skip
def test_password_of_a_connection_string_is_not_shown(text: str, shown: str) -> None:
    assert without_passwords(text) == shown


def test_url_in_the_wrong_place_does_not_show_its_password() -> None:
    url = "postgresql://ann:se[/b]cret@127.0.0.1:1/app"
    for words in (["migrate", url], ["sessions", f"--{url}"], [url], ["--version", url], ["sessions", "--from", url]):
        for options in ([], ["--json"]):
            result = bookingdb("", *words, *options)
            assert "cret" not in result.output, result.output


def test_documents_put_no_password_on_a_command_line() -> None:
    for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        text = path.read_text(encoding="utf-8")
        # The URL of the local server names a file that has its password.
        local = 'export BOOKINGDB_DATABASE_URL="$(bookingdb local psql-url'
        if local in text:
            text = text.replace(local, "").replace('psql "$BOOKINGDB_DATABASE_URL"', "")
        # URL is a placeholder.
        given = r"postgres(?:ql)?://\w[\w.]*:\S*@|export \w*URL=|--database-url (?!URL\b)\S+|psql \"?\$\w*URL"
        found = re.findall(given, text)
        assert found == [], path.name


def test_characters_that_nobody_sees_are_escaped() -> None:
    """The whole kind: what Unicode calls a control, a format, a surrogate or a separator, and what shows nothing."""
    kinds = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    unseen = [chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in kinds]
    unseen += "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180f\u3164\ufe00\ufe0f\uffa0\U000e0100\U000e01ef"
    assert {"\u200b", "\u00ad", "\u180e", "\u2063", "\u200d", "\x1b", "\u2028", "\ud800"} <= set(unseen)
    assert [letter for letter in unseen if not printable(f"a{letter}b").isascii()] == []
    for shown in (
        "Ada",
        "\u5f20\u4f1f",
        "Jose\u0301",
        "\U0001f600",
        "a\u00a0b",
        "\u0939\u093f\u0928\u094d\u0926\u0940",
    ):
        assert printable(shown) == shown
