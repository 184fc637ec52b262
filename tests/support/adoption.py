"""Apps whose databases are adopted, and copies of them: each app is loaded and adopted once, a test gets a copy."""

from __future__ import annotations

import itertools
import json
import os
import re
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from bookingdb.checks import verify
from tests.apps import (
    APPS,
    FAULTS,
    App,
    Rows,
    load,
    rows,
    schema_dump,
)
from tests.support import Connection, connect, run, scalar
from tests.support.commands import done
from tests.support.hosts import HOSTS, Host

_numbers = itertools.count(1)
UNSCHEDULED = "times.unscheduled"


@dataclass(frozen=True)
class Found:
    """An app's database as it was found, with its schema and its rows."""

    app: App
    host: Host
    server_url: str
    url: str
    dump: str
    rows: Rows

    @contextmanager
    def copy(self, of: str | None = None) -> Iterator[str]:
        """A copy of the database (or of another one of the same server), gone after the block."""
        name = f"copy_{next(_numbers)}"
        template = str(psycopg.conninfo.conninfo_to_dict(of or self.url)["dbname"])
        url = self.host.create_database(self.server_url, name, template)
        try:
            yield url
        finally:
            with connect(self.server_url) as connection:
                run(connection, f"drop database {name} with (force)")


@dataclass(frozen=True)
class Adopted:
    """An app's database that was adopted with the answers of its owner, and the plan."""

    found: Found
    url: str
    plan: dict[str, Any]
    text: str


# Of each app, the answers that its owner came to question by question, the first time.
_answers: dict[tuple[object, ...], dict[str, str]] = {}


def make_plan(app: App, url: str, folder: Path, *options: object) -> Path:
    """Have the plan written, answer it as the owner of the app does, and have it written with the answers.

    Who adopts a copy of the same database gives the same answers at once, which makes one plan of three.
    """
    path = folder / f"{app.name}.toml"
    key = (app.name, *options)
    if key in _answers:
        plan_at_once(url, path, _answers[key], "--adapter", app.adapter, *options)
        if tomllib.loads(path.read_text(encoding="utf-8"))["answers"] == _answers[key]:
            return path
        # Something else was done to this copy.
        path.unlink()
    path = _ask_for_plan(app, url, path, *options)
    _answers[key] = tomllib.loads(path.read_text(encoding="utf-8"))["answers"]
    return path


def plan_at_once(url: str, path: Path, answers: Mapping[str, str], *options: object) -> None:
    """Have the plan written with answers to questions that are known before."""
    given = "".join(f"{json.dumps(key)} = {json.dumps(value)}\n" for key, value in answers.items())
    path.write_text(f'fingerprint = ""\nadapter = ""\n\n[answers]\n{given}', encoding="utf-8")
    done(url, "adopt", "--plan", "--answers", path, "--output", path, *options)


def _ask_for_plan(app: App, url: str, path: Path, *options: object) -> Path:
    done(url, "adopt", "--plan", "--output", path, "--adapter", app.adapter, *options)
    if "zone" in app.answers:
        # Some questions depend on the zone.
        _, text = _answered(app, path.read_text(encoding="utf-8"))
        path.write_text(text, encoding="utf-8")
        make_again(url, path)
    path.write_text(answered(app, path.read_text(encoding="utf-8")), encoding="utf-8")
    make_again(url, path)
    keep_unscheduled(url, path)
    return path


def make_again(url: str, path: Path) -> None:
    """Have the plan written once more, with the answers that are in it now."""
    done(url, "adopt", "--plan", "--answers", path, "--output", path)


def keep_unscheduled(url: str, path: Path) -> None:
    """Have the start of sessions without a scheduled time stay, where a plan with its zone asks and nobody has said."""
    text = path.read_text(encoding="utf-8")
    if tomllib.loads(text)["answers"].get(UNSCHEDULED) == "":
        path.write_text(_with_answer(text, UNSCHEDULED, "keep"), encoding="utf-8")
        make_again(url, path)


def answered(app: App, text: str) -> str:
    """The text of a plan with the answers of the app's owner in the place of the defaults."""
    asked, text = _answered(app, text)
    missing = app.answers.keys() - asked.keys()
    assert not missing, f"the plan does not ask for {missing}, but for {sorted(asked)}"
    answers = tomllib.loads(text)["answers"]
    assert {key: answers[key] for key in app.answers} == dict(app.answers)
    return text


def _answered(app: App, text: str) -> tuple[dict[str, str], str]:
    """What a plan asks, and its text with the answers of the app's owner to that."""
    asked = tomllib.loads(text)["answers"]
    # Zones are the owner's to say wherever the rows do not decide. now() is in UTC on every host.
    zones = {"zone": app.zone, "zone.timestamps": "UTC"}
    for key, value in {**zones, **app.preferences, **app.answers}.items():
        if key in asked:
            text = _with_answer(text, key, value)
    return asked, text


def answer_zones(url: str, path: Path, zone: str = "UTC") -> None:
    """Have a plan written again with the zones, which are the owner's to say, where they are asked."""
    text = path.read_text(encoding="utf-8")
    asked = tomllib.loads(text)["answers"].keys()
    answers = {key: value for key, value in {"zone": zone, "zone.timestamps": "UTC"}.items() if key in asked}
    path.write_text(with_answers(text, answers), encoding="utf-8")
    make_again(url, path)
    keep_unscheduled(url, path)


def _with_answer(text: str, key: str, value: object) -> str:
    line = f"{json.dumps(key)} = {json.dumps(value)}"
    # A function, because the value may have backslashes.
    quoted = re.escape(json.dumps(key))
    changed, count = re.subn(rf"(?m)^(?:{quoted}|{re.escape(key)}) = .*$", lambda _: line, text, count=1)
    assert count == 1, f"no line of the plan has the answer {key}"
    return changed


def with_answers(text: str, answers: Mapping[str, object]) -> str:
    """The text of a plan with other answers."""
    for key, value in answers.items():
        text = _with_answer(text, key, value)
    return text


@cache
def found(app: App, host: Host, server_url: str) -> Found:
    """The app's database on a host, loaded the first time somebody asks."""
    url = host.create_database(server_url, f"found_{app.name}_{host.name}")
    load(app, url, host)
    return Found(app, host, server_url, url, schema_dump(url), rows(url))


@cache
def _adopted(app: App, host: Host, server_url: str) -> Adopted | str:
    before = found(app, host, server_url)
    template = str(psycopg.conninfo.conninfo_to_dict(before.url)["dbname"])
    url = host.create_database(server_url, f"adopted_{app.name}_{host.name}", template)
    with tempfile.TemporaryDirectory() as folder:
        try:
            path = make_plan(app, url, Path(folder))
            done(url, "adopt", "--apply", path)
        except AssertionError as error:
            # The others need not try again.
            return str(error)
        text = path.read_text(encoding="utf-8")
    return Adopted(before, url, tomllib.loads(text), text)


def adopted(app: App, host: Host, server_url: str) -> Adopted:
    """The app's database on a host, adopted the first time somebody asks."""
    outcome = _adopted(app, host, server_url)
    if isinstance(outcome, str):
        pytest.fail(f"{app.name} cannot be adopted: {outcome}")
    return outcome


def recorded(connection: Connection, kind: str) -> list[dict[str, Any]]:
    """What bookingdb.adoption has of a kind."""
    return [
        dict(row)
        for (row,) in run(
            connection, "select to_jsonb(a) from bookingdb.adoption as a where a.kind = %s order by a.id", kind
        )
    ]


ACTIVE = ("pending_approval", "scheduled", "confirmed", "in_progress")
OURS = ("users", "sessions", "user_credits", "booking_audit_log")


def some_apps(*names: str, but: bool = False) -> pytest.MarkDecorator:
    """For tests that concern some apps only, or all but some."""
    chosen = [app for app in APPS.values() if (app.name in names) != but]
    return pytest.mark.parametrize("app", chosen, ids=lambda app: app.name, indirect=True)


def with_faults(*names: str) -> pytest.MarkDecorator:
    """For tests of apps that have a fault of their own."""
    chosen = [FAULTS[name] for name in names]
    return pytest.mark.parametrize("app", chosen, ids=list(names), indirect=True)


def findings(url: str) -> set[str]:
    """The groups of what `verify` finds."""
    with connect(url) as connection:
        return {finding.group for finding in verify.verify(connection)}


def is_sound(app: App, url: str) -> bool:
    """Whether `verify` finds nothing but the rows with two times that the app has."""
    return findings(url) == ({verify.CONTRADICTORY_TIMES} if app.has_two_times else set())


# Each app on one kind of host, each host for some apps; BOOKINGDB_STORM=full: each on every one.
PAIRS = [
    (app, host)
    for number, app in enumerate(APPS.values())
    for place, host in enumerate(HOSTS)
    if os.environ.get("BOOKINGDB_STORM") == "full" or place == number % len(HOSTS)
]
on_its_host = pytest.mark.parametrize(
    ("app", "host"), PAIRS, ids=[f"{app.name}-{host.name}" for app, host in PAIRS], indirect=True, scope="session"
)


def read_only(url: str) -> str:
    """The same database for somebody who cannot write anything, as on a standby."""
    return psycopg.conninfo.make_conninfo(url, options="-c default_transaction_read_only=on")


def adopt(app: App, url: str, folder: Path) -> None:
    done(url, "adopt", "--apply", make_plan(app, url, folder))


def audited(connection: Connection, id_: UUID) -> list[Any]:
    """The entries of the audit log about a session, but for its adoption."""
    return run(
        connection,
        "select a.action, a.old_status, a.new_status from public.booking_audit_log as a"
        " where a.session_id = %s and a.action <> 'adopted' order by a.entry",
        id_,
    )


def occupied(connection: Connection, id_: UUID) -> list[Any]:
    """The time that a session has in the calendar."""
    return run(
        connection,
        "select lower(c.period), upper(c.period), c.therapist_id, c.client_id from bookingdb.calendar as c"
        " where c.id = %s and c.kind = 'session'",
        id_,
    )


def balance(connection: Connection, client: UUID) -> int:
    return int(scalar(connection, "select public.get_credit_balance(%s)", client))


def violations(connection: Connection) -> list[Any]:
    return run(connection, "select * from bookingdb.check_invariants()")


def run_named(connection: Connection, statement: str, parameters: dict[str, Any]) -> None:
    """Run a statement of an app's with parameters by name."""
    connection.execute(statement.encode(), parameters)
