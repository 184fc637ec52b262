"""`bookingdb adopt`: a live database of an app becomes a sound one, in place, losing nothing; and goes back."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import os
import random
import re
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import psycopg
import pytest

from bookingdb.adoption.plan import file as plan_file
from tests.apps import (
    APPS,
    CLIENT,
    OTHER_CLIENT,
    OTHER_THERAPIST,
    POOR,
    THERAPIST,
    App,
    Rows,
    book,
    differences,
    person,
    rows,
    schema_dump,
    server_of,
    session,
)
from tests.support import ROOT, Connection, adoption, connect, run, scalar
from tests.support.adoption import Adopted, Found, make_plan, recorded, with_answers
from tests.support.commands import answer, bookingdb, done, process
from tests.support.hosts import HOSTS, SUPABASE_BEFORE, Host

ACTIVE = ("pending_approval", "scheduled", "confirmed", "in_progress")
OURS = ("users", "sessions", "user_credits", "booking_audit_log")


def some_apps(*names: str, but: bool = False) -> pytest.MarkDecorator:
    """For tests that concern some apps only, or all but some."""
    chosen = [app for app in APPS.values() if (app.name in names) != but]
    return pytest.mark.parametrize("app", chosen, ids=lambda app: app.name, indirect=True)


# Each app on one kind of host, each host for some apps; BOOKINGDB_STORM=full: each on every one.
_PAIRS = [
    (app, host)
    for number, app in enumerate(APPS.values())
    for place, host in enumerate(HOSTS)
    if os.environ.get("BOOKINGDB_STORM") == "full" or place == number % len(HOSTS)
]
on_its_host = pytest.mark.parametrize(
    ("app", "host"), _PAIRS, ids=[f"{app.name}-{host.name}" for app, host in _PAIRS], indirect=True, scope="session"
)


@pytest.fixture(params=list(APPS.values()), ids=list(APPS))
def app(request: pytest.FixtureRequest) -> App:
    """Each app, unless a test says which."""
    chosen = request.param
    assert isinstance(chosen, App)
    return chosen


@pytest.fixture(scope="session")
def host(request: pytest.FixtureRequest) -> Host:
    """The host on which most is open, unless a test wants every one."""
    chosen = getattr(request, "param", SUPABASE_BEFORE)
    assert isinstance(chosen, Host)
    return chosen


@pytest.fixture(scope="session")
def hosts_server_url(host: Host, request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("supabase_server_url" if host.is_supabase else "server_url"))


@pytest.fixture
def found(app: App, host: Host, hosts_server_url: str) -> Found:
    """The app's database as it was found; only to be read."""
    return adoption.found(app, host, hosts_server_url)


@pytest.fixture
def live(found: Found) -> Iterator[str]:
    """A copy of the app's database as it was found, to be adopted."""
    with found.copy() as url:
        yield url


@pytest.fixture
def taken(app: App, host: Host, hosts_server_url: str) -> Adopted:
    """The app's database, adopted; only to be read."""
    return adoption.adopted(app, host, hosts_server_url)


@pytest.fixture
def url(taken: Adopted) -> Iterator[str]:
    """A copy of the app's database, adopted, to be used."""
    with taken.found.copy(of=taken.url) as copied:
        yield copied


@pytest.fixture
def owner(url: str) -> Iterator[Connection]:
    """The owner of the copy."""
    with connect(url) as connection:
        yield connection


@pytest.fixture
def caller(url: str) -> Iterator[Connection]:
    """The app's own server at the copy."""
    with server_of(url) as connection:
        yield connection


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


# ----------------------------------------------------------------------------------------------------------------------
# The plan
# ----------------------------------------------------------------------------------------------------------------------


@on_its_host
def test_a_plan_reads_only(app: App, found: Found) -> None:
    done(read_only(found.url), "adopt", "--plan", "--adapter", app.adapter)
    assert schema_dump(found.url) == found.dump
    assert rows(found.url) == found.rows


def test_plan_is_toml_with_all_that_a_person_decides_from(app: App, found: Found, tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    done(found.url, "adopt", "--plan", "--output", path, "--adapter", app.adapter)
    plan = tomllib.loads(path.read_text(encoding="utf-8"))
    assert isinstance(plan["fingerprint"], str)
    assert len(plan["fingerprint"]) >= 64
    assert plan["adapter"] == app.adapter
    assert plan["found"]
    assert plan["changes"]
    assert not plan["problems"]
    assert all(isinstance(value, str) for value in plan["answers"].values())
    for each in plan["rows"]:
        assert each.keys() >= {"class", "table", "count", "ids", "repair"}
        assert each["count"] == len(each["ids"]) > 0
        assert each["repair"]


def test_printed_and_written_plans_are_the_same(app: App, found: Found, tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    done(found.url, "adopt", "--plan", "--output", path, "--adapter", app.adapter)
    printed = done(found.url, "adopt", "--plan", "--adapter", app.adapter).stdout
    assert printed.strip() == path.read_text(encoding="utf-8").strip()


def test_question_of_a_plan_gives_reasons_for_its_answer(app: App, found: Found) -> None:
    text = done(found.url, "adopt", "--plan", "--adapter", app.adapter).stdout
    lines = text.splitlines()
    for key in tomllib.loads(text)["answers"]:
        (number,) = (n for n, line in enumerate(lines) if line.startswith((f"{json.dumps(key)} = ", f"{key} = ")))
        assert lines[number - 1].startswith("#"), key


def test_a_plan_lists_every_damaged_row_by_its_class(app: App, found: Found) -> None:
    plan = tomllib.loads(done(found.url, "adopt", "--plan", "--adapter", app.adapter).stdout)
    listed: dict[tuple[str, str], set[str]] = {}
    for each in plan["rows"]:
        listed.setdefault((each["table"], each["class"]), set()).update(each["ids"])
    missing = {
        (table, damage): lost
        for table, classes in app.damage.items()
        for damage, ids in classes.items()
        if (lost := {str(id_) for id_ in ids} - listed.get((table, damage), set()))
    }
    assert not missing, f"listed are {sorted(listed)}"


@some_apps("drift")
def test_of_a_large_class_a_plan_lists_some_rows_and_counts_all(
    app: App, found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tomllib.loads(done(found.url, "adopt", "--plan").stdout)
    monkeypatch.setattr(plan_file, "MANY", 1)
    short = tomllib.loads(done(found.url, "adopt", "--plan").stdout)
    assert short["fingerprint"] == whole["fingerprint"]
    assert [each["count"] for each in short["rows"]] == [len(each["ids"]) for each in whole["rows"]]
    for each in short["rows"]:
        assert len(each["ids"]) == 1
        assert each.get("more") == (f"{each['count'] - 1} more" if each["count"] > 1 else None)


@some_apps("clean")
def test_a_plan_for_a_sound_database_has_no_rows_to_mend(app: App, found: Found) -> None:
    assert not tomllib.loads(done(found.url, "adopt", "--plan").stdout)["rows"]


def test_a_plan_proposes_a_zone_whose_clocks_explain_the_rows(app: App, found: Found) -> None:
    plan = tomllib.loads(done(found.url, "adopt", "--plan", "--adapter", app.adapter).stdout)
    if app.has_evidence_of_zone:
        now = dt.datetime.now(dt.UTC)
        proposed = now.astimezone(ZoneInfo(plan["answers"]["zone"]))
        assert proposed.utcoffset() == now.astimezone(ZoneInfo(app.zone)).utcoffset()


def test_plan_names_every_object_that_matters(app: App, found: Found) -> None:
    text = done(found.url, "adopt", "--plan", "--adapter", app.adapter).stdout
    with connect(found.url) as connection:
        names = run(
            connection,
            """
            select t.tgname::text from pg_trigger as t
            where t.tgrelid = any (%s::regclass[]) and not t.tgisinternal
            union all
            select p.polname from pg_policy as p where p.polrelid = any (%s::regclass[])
            union all
            select c.conname from pg_constraint as c
            where c.conrelid = any (%s::regclass[]) and c.contype in ('c', 'x', 'u', 'f')
            union all
            select p.oid::regprocedure::text from pg_proc as p
            where p.pronamespace = 'public'::regnamespace
                and p.proname in ('create_session_with_credit_deduction', 'check_booking_conflict')
            """,
            *[[f"public.{table}" for table in OURS if f"public.{table}" in found.rows]] * 3,
        )
    assert not [name for (name,) in names if _bare(name) not in _bare(text)]


@some_apps("clean")
def test_plan_says_what_replaces_the_trigger_that_charged(app: App, live: str) -> None:
    charging = """
        create function public.charge() returns trigger language plpgsql as $$
        begin
            update public.user_credits set credits_balance = credits_balance - 1 where user_id = new.user_id;
            return null;
        end;
        $$;
        create trigger charge after insert on public.sessions for each row execute function public.charge();
    """
    with connect(live) as owner:
        owner.execute(charging.encode())

    text = done(live, "adopt", "--plan", "--adapter", app.adapter).stdout

    assert tomllib.loads(text)["answers"]["trigger.sessions.charge"] == "disable"
    words = " ".join(text.replace("#", " ").split())
    assert "It changes credits." in words
    assert "what is written directly costs and returns none once this is off" in words


def _bare(text: str) -> str:
    """The text without what differs between two ways of writing a signature."""
    return re.sub(r"\s+|public\.|without time zone", "", text.replace("character varying", "varchar"))


@some_apps("profiles", "enrollments", "therapists")
def test_plan_with_an_unfit_adapter_cannot_be_applied(app: App, live: str, found: Found, tmp_path: Path) -> None:
    wrong = "therapists" if app.adapter != "therapists" else "enrollments"
    path = tmp_path / "plan.toml"
    bookingdb(live, "adopt", "--plan", "--output", path, "--adapter", wrong)
    if path.exists():
        assert tomllib.loads(path.read_text(encoding="utf-8"))["problems"]
        assert bookingdb(live, "adopt", "--apply", path).exit_code == 1
    assert schema_dump(live) == found.dump


@some_apps("enrollments")
def test_an_adapter_may_be_a_file_of_the_owners(app: App, live: str, tmp_path: Path) -> None:
    ours = ROOT / "sql" / "adapters" / "enrollments.sql"
    own = tmp_path / "mine.sql"
    own.write_text(ours.read_text(encoding="utf-8") + "\n-- Mine.\n", encoding="utf-8")
    path = tmp_path / "plan.toml"
    done(live, "adopt", "--plan", "--output", path, "--adapter", own)
    path.write_text(adoption.answered(app, path.read_text(encoding="utf-8")), encoding="utf-8")
    done(live, "adopt", "--apply", path)
    assert bookingdb(live, "verify").exit_code == 0
    # The database remembers it: an upgrade asks nobody.
    assert "Nothing to do" in done(live, "migrate").stdout
    with server_of(live) as caller, pytest.raises(psycopg.Error, match="Therapist not found"):
        book(caller, app, app.free(), p_therapist_id=app.unavailable["not approved"])


def test_plan_without_such_tables_points_to_migrate(owned_database: str) -> None:
    before = schema_dump(owned_database)
    assert "bookingdb migrate" in bookingdb(owned_database, "adopt", "--plan").output
    assert schema_dump(owned_database) == before


# ----------------------------------------------------------------------------------------------------------------------
# Applying it
# ----------------------------------------------------------------------------------------------------------------------


@on_its_host
def test_adopted_database_is_sound_and_goes_back(app: App, host: Host, found: Found, live: str, tmp_path: Path) -> None:
    adopt(app, live, tmp_path)
    for command in ("verify", "lint", "selftest"):
        result = bookingdb(live, command)
        assert result.exit_code == 0, (command, result.output)
    assert "Nothing to do" in done(live, "migrate").stdout
    done(live, "adopt", "--undo")
    assert schema_dump(live) == found.dump
    assert differences(found.rows, rows(live)) == []


def test_it_keeps_every_invariant(owner: Connection) -> None:
    assert violations(owner) == []


def test_a_second_plan_is_empty(app: App, url: str) -> None:
    plan = tomllib.loads(done(url, "adopt", "--plan", "--adapter", app.adapter).stdout)
    assert not plan["changes"]
    assert not plan["rows"]


def test_it_is_adopted_once(app: App, taken: Adopted, url: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(taken.text, encoding="utf-8")
    before = schema_dump(url)
    assert bookingdb(url, "adopt", "--apply", path).exit_code == 1
    assert schema_dump(url) == before


def test_no_row_is_missing_or_altered_but_as_the_plan_said(
    app: App, taken: Adopted, url: str, owner: Connection
) -> None:
    planned = {(each["table"], id_) for each in taken.plan["rows"] for id_ in each["ids"]}
    records: dict[tuple[str, str], dict[str, tuple[Any, Any]]] = {}
    for record in recorded(owner, "row"):
        table = record["object"] if "." in record["object"] else f"public.{record['object']}"
        columns = records.setdefault((table, record["row_key"]["id"]), {})
        for name, original in (record["original"] or {}).items():
            if original != record["adopted"][name]:
                columns[name] = (original, record["adopted"][name])

    altered: dict[tuple[str, str], dict[str, tuple[Any, Any]]] = {}
    for difference in differences(taken.found.rows, rows(url)):
        if difference.before is None and difference.table == "public.booking_audit_log":
            assert difference.after is not None
            assert difference.after["action"] == "adopted"
            continue
        assert difference.before is not None, f"a row has come: {difference}"
        assert difference.after is not None, f"a row has gone: {difference}"
        changed = {
            name: values
            for name, values in difference.columns.items()
            if name not in app.converted and not _same_instant(*values)
        }
        if changed:
            altered[difference.table, difference.key] = changed
    assert altered.keys() <= planned
    for key, columns in altered.items():
        assert {name: _comparable(values) for name, values in columns.items()} == {
            name: _comparable(values) for name, values in records.get(key, {}).items() if name not in app.converted
        }, key


@some_apps("times")
def test_time_of_day_becomes_its_instant_in_the_zone(app: App, taken: Adopted, owner: Connection) -> None:
    before = {row["id"]: row for row in taken.found.rows["public.sessions"]}
    zone = ZoneInfo(app.zone)
    for id_, start, end in run(owner, "select id::text, start_time, end_time from public.sessions"):
        was = before[id_]
        if was["session_date"] and was["start_time"]:
            day = dt.date.fromisoformat(was["session_date"])
            at = dt.time.fromisoformat(was["start_time"])
            assert start == dt.datetime.combine(day, at, zone), id_
            if was["end_time"]:
                until = dt.time.fromisoformat(was["end_time"])
                day += dt.timedelta(days=1) if until < at else dt.timedelta()
                assert end == dt.datetime.combine(day, until, zone), id_
        else:
            assert (start, end) == (None, None), id_


@some_apps("therapists")
def test_credits_are_good_until_their_last_day_is_over(app: App, taken: Adopted, owner: Connection) -> None:
    before = {row["id"]: row["expires_at"] for row in taken.found.rows["public.user_credits"] if row["expires_at"]}
    assert before
    for id_, expires_at in run(owner, "select id::text, expires_at from public.user_credits"):
        if id_ in before:
            day = dt.date.fromisoformat(before[id_]) + dt.timedelta(days=1)
            assert expires_at == dt.datetime.combine(day, dt.time(), ZoneInfo(app.zone))


def _same_instant(before: Any, after: Any) -> bool:
    """Whether a timestamp without a zone has become the instant that it meant: these databases say now() in UTC."""
    return isinstance(before, str) and isinstance(after, str) and after == f"{before}+00:00"


def _comparable(values: tuple[Any, Any]) -> tuple[Any, Any]:
    first, second = (_instant(value) for value in values)
    return first, second


def _instant(value: Any) -> Any:
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.+-]+", value):
        read = dt.datetime.fromisoformat(value)
        return read if read.tzinfo else read.replace(tzinfo=dt.UTC)
    return value


def test_every_session_begins_its_history_with_its_adoption(owner: Connection) -> None:
    others = """
        select s.id from public.sessions as s where (
            select count(*) from public.booking_audit_log as a
            where a.session_id = s.id and a.action = 'adopted' and a.old_status is null
                and a.new_status is not distinct from s.status
        ) <> 1
    """
    assert run(owner, others) == []


def test_every_lot_has_what_it_had_and_the_ledger_opens_with_it(owner: Connection) -> None:
    others = """
        select c.id, c.credits_balance from public.user_credits as c
        where c.user_id is not null and c.credits_balance <> (
            select coalesce(sum(l.amount), 0) from bookingdb.ledger as l where l.lot_id = c.id
        )
    """
    assert run(owner, others) == []
    assert run(owner, "select distinct l.kind from bookingdb.ledger as l") == [("opening",)]


def test_clients_can_spend_what_they_could_spend(app: App, owner: Connection) -> None:
    assert {client: balance(owner, client) for client in app.balances} == dict(app.balances)


def test_report_shows_balances_before_and_after(app: App, found: Found, url: str) -> None:
    report = answer(url, "adopt", "--report")
    for client, after in app.balances.items():
        shown = report["balances"][str(client)]
        assert shown["spendable"] == after
        lots = [lot for lot in found.rows["public.user_credits"] if lot["user_id"] == str(client)]
        assert shown["before"] == sum(lot["credits_balance"] or 0 for lot in lots)


# ----------------------------------------------------------------------------------------------------------------------
# What the app calls
# ----------------------------------------------------------------------------------------------------------------------


def test_the_app_books_with_its_eight_named_arguments(app: App, owner: Connection, caller: Connection) -> None:
    before = balance(owner, CLIENT)
    start = app.free()
    data = book(caller, app, start)
    assert len(data) == 1
    id_ = data[0]["id"]
    assert isinstance(id_, UUID)
    assert data[0]["start_time"] == start
    assert data[0]["end_time"] == start + dt.timedelta(hours=1)
    assert data[0]["status"] == "scheduled"
    assert balance(owner, CLIENT) == before - 1
    assert audited(owner, id_) == [("created", None, "scheduled")]
    assert occupied(owner, id_) == [(start, start + dt.timedelta(hours=1), THERAPIST, CLIENT)]
    ((stored, title, notes),) = run(
        owner, "select s.start_time, s.title, s.description from public.sessions as s where s.id = %s", id_
    )
    assert (stored, title, notes) == (start, "Therapy Session", "from the app")
    assert violations(owner) == []


@pytest.mark.parametrize("zone", ["UTC", "America/St_Johns", "Pacific/Kiritimati"])
@some_apps("drift", "single_balance", "two_zones", "times")
def test_booking_is_the_same_in_every_connections_zone(
    app: App, owner: Connection, caller: Connection, zone: str
) -> None:
    run(caller, "select set_config('timezone', %s, false)", zone)
    start = app.free(hour=21)
    (booked,) = book(caller, app, start)
    assert booked["start_time"] == start
    assert scalar(owner, "select s.start_time from public.sessions as s where s.id = %s", booked["id"]) == start
    assert violations(owner) == []


def test_a_time_that_is_taken_is_told_as_a_booking_conflict(app: App, owner: Connection, caller: Connection) -> None:
    start = app.free()
    book(caller, app, start)
    before = balance(owner, OTHER_CLIENT)
    with pytest.raises(psycopg.Error, match="Booking conflict") as caught:
        book(caller, app, start + dt.timedelta(minutes=30), p_user_id=OTHER_CLIENT)
    assert caught.value.sqlstate == "PT409"
    assert balance(owner, OTHER_CLIENT) == before


def test_client_with_another_session_is_told_of_a_conflict(app: App, caller: Connection) -> None:
    start = app.free()
    book(caller, app, start)
    with pytest.raises(psycopg.Error, match="Booking conflict") as caught:
        book(caller, app, start, p_therapist_id=OTHER_THERAPIST)
    assert caught.value.sqlstate == "PT409"


def test_client_without_credits_is_not_told_of_a_conflict(app: App, caller: Connection) -> None:
    with pytest.raises(psycopg.Error, match="Insufficient credits") as caught:
        book(caller, app, app.free(), p_user_id=POOR)
    assert "conflict" not in str(caught.value.diag.message_primary).lower()


def test_unknown_or_closed_therapist_is_not_found(app: App, caller: Connection) -> None:
    for why, therapist in {"unknown": person("ff"), "a client": OTHER_CLIENT, **app.unavailable}.items():
        with pytest.raises(psycopg.Error, match="Therapist not found") as caught:
            book(caller, app, app.free(), p_therapist_id=therapist)
        assert "conflict" not in str(caught.value.diag.message_primary).lower(), why


def test_the_app_asks_for_conflicts_with_its_four_arguments(app: App, caller: Connection) -> None:
    start = app.free()
    local = start.astimezone(ZoneInfo(app.zone))
    ask = (
        "select public.check_booking_conflict("
        "p_therapist_id => %s, p_session_date => %s, p_start_time => %s, p_end_time => %s)"
    )
    arguments = [THERAPIST, local.date(), dt.time(10), dt.time(11)]
    assert scalar(caller, ask, *arguments) is False
    book(caller, app, start)
    assert scalar(caller, ask, *arguments) is True


@some_apps("clean", "drift", "two_zones")
def test_the_time_of_a_cancelled_session_can_be_booked_again(app: App, owner: Connection, caller: Connection) -> None:
    (first,) = book(caller, app, app.free())
    run_named(caller, app.change_status, {"id": first["id"], "status": "cancelled"})
    (second,) = book(caller, app, app.free(), p_user_id=OTHER_CLIENT)
    assert second["id"] != first["id"]
    assert violations(owner) == []


@some_apps("drift", "lots", "enrollments", "times")
def test_columns_that_the_old_function_filled_are_filled(app: App, owner: Connection, caller: Connection) -> None:
    (booked,) = book(caller, app, app.free(), p_duration_minutes=45)
    stored = scalar(owner, "select to_jsonb(s) from public.sessions as s where s.id = %s", booked["id"])
    for theirs, ours in app.copies.items():
        assert stored[theirs] == stored[ours], theirs
        assert stored[theirs] is not None, theirs


@some_apps("drift", "therapists")
def test_longest_texts_fit_into_the_apps_columns(app: App, caller: Connection) -> None:
    (booked,) = book(caller, app, app.free(), p_title="t" * 200, p_session_type="s" * 45)
    assert booked["title"] == "t" * 200


@some_apps("drift", "schedules")
def test_a_booking_tells_the_apps_notifier_once_as_before(app: App, owner: Connection, caller: Connection) -> None:
    before = scalar(owner, f"select count(*) from {app.notifications}")
    (booked,) = book(caller, app, app.free())
    told = run(owner, f"select to_jsonb(n)::text from {app.notifications} as n order by n.id desc")
    assert len(told) == before + 1
    assert str(booked["id"]) in told[0][0]
    assert str(CLIENT) in told[0][0]


@some_apps("drift", "schedules", "enrollments")
def test_a_notifier_that_fails_or_is_gone_fails_no_booking(app: App, owner: Connection, caller: Connection) -> None:
    """The one of `enrollments` fails as it was found: its table is missing."""
    book(caller, app, app.free())
    ((signature,),) = run(owner, "select oid::regprocedure::text from pg_proc where proname = 'enqueue_notification'")
    run(owner, f"drop function public.{signature}")
    book(caller, app, app.free(hour=15))
    assert violations(owner) == []


@some_apps("drift", "schedules", "enrollments")
def test_the_apps_notifier_is_preserved(app: App, found: Found, owner: Connection) -> None:
    source = "select p.prosrc from pg_proc as p where p.proname = 'enqueue_notification'"
    with connect(found.url) as before:
        assert run(owner, source) == run(before, source)


@some_apps("drift")
def test_views_of_the_app_over_its_tables_still_answer(app: App, owner: Connection, caller: Connection) -> None:
    (booked,) = book(caller, app, app.free())
    seen = run(owner, "select client, therapist from upcoming_sessions where id = %s", booked["id"])
    assert seen == [("Carla", "Ada")]


# ----------------------------------------------------------------------------------------------------------------------
# What the app writes directly
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["scheduled", "pending_approval"])
def test_the_app_writes_a_session_that_costs_nothing(
    app: App, owner: Connection, caller: Connection, status: str
) -> None:
    id_, start, before = uuid4(), app.free(), balance(owner, CLIENT)
    run_named(caller, app.insert, app.written(id_, start, status=status))
    assert audited(owner, id_) == [("created", None, status)]
    assert occupied(owner, id_) == [(start, start + dt.timedelta(hours=1), THERAPIST, CLIENT)]
    assert balance(owner, CLIENT) == before
    with pytest.raises(psycopg.Error, match="Booking conflict"):
        book(caller, app, start, p_user_id=OTHER_CLIENT)
    assert violations(owner) == []


@pytest.mark.parametrize("status", ["scheduled", "pending_approval"])
def test_session_written_over_another_is_called_a_conflict(
    app: App, owner: Connection, caller: Connection, status: str
) -> None:
    start = app.free()
    book(caller, app, start)
    for column, other in (("user_id", OTHER_CLIENT), ("therapist_id", OTHER_THERAPIST)):
        id_ = uuid4()
        with pytest.raises(psycopg.Error, match=r"[Cc]onflict") as caught:
            run_named(caller, app.insert, app.written(id_, start, status=status) | {column: other})
        assert caught.value.sqlstate == "PT409"
        assert run(owner, "select id from public.sessions where id = %s", id_) == []
    assert violations(owner) == []


def test_the_app_moves_a_session(app: App, owner: Connection, caller: Connection) -> None:
    (booked,) = book(caller, app, app.free())
    id_, later = booked["id"], app.free(hour=15)
    run_named(caller, app.move, app.written(id_, later))
    assert occupied(owner, id_) == [(later, later + dt.timedelta(hours=1), THERAPIST, CLIENT)]
    assert audited(owner, id_) == [("created", None, "scheduled"), ("updated", "scheduled", "scheduled")]
    assert scalar(owner, "select start_time from public.sessions where id = %s", id_) == later
    book(caller, app, app.free(), p_user_id=OTHER_CLIENT)
    assert violations(owner) == []


def test_session_moved_onto_another_is_a_conflict_and_stays(app: App, owner: Connection, caller: Connection) -> None:
    (first,) = book(caller, app, app.free())
    (second,) = book(caller, app, app.free(hour=15), p_user_id=OTHER_CLIENT)
    with pytest.raises(psycopg.Error, match=r"[Cc]onflict") as caught:
        run_named(caller, app.move, app.written(second["id"], app.free()))
    assert caught.value.sqlstate == "PT409"
    assert occupied(owner, second["id"])[0][0] == app.free(hour=15)
    assert occupied(owner, first["id"])[0][0] == app.free()


def test_app_approves_and_completes_sessions_audited_once(app: App, owner: Connection, caller: Connection) -> None:
    id_, start = uuid4(), app.free()
    run_named(caller, app.insert, app.written(id_, start, status="pending_approval"))
    steps = ["pending_approval", "scheduled", "in_progress", "completed"]
    for status in steps[1:]:
        run_named(caller, app.change_status, {"id": id_, "status": status})
        assert len(occupied(owner, id_)) == (status in ACTIVE)
    assert audited(owner, id_) == [
        ("created", None, steps[0]),
        *(("status_changed", old, new) for old, new in itertools.pairwise(steps)),
    ]
    assert violations(owner) == []


@pytest.mark.parametrize("status", ["cancelled", "no_show"])
def test_the_app_ends_a_session_and_its_time_is_free(
    app: App, owner: Connection, caller: Connection, status: str
) -> None:
    (booked,) = book(caller, app, app.free())
    run_named(caller, app.change_status, {"id": booked["id"], "status": status})
    assert occupied(owner, booked["id"]) == []
    assert len(audited(owner, booked["id"])) == 2
    book(caller, app, app.free(), p_user_id=OTHER_CLIENT)


def test_a_session_that_was_there_goes_on(app: App, owner: Connection, caller: Connection) -> None:
    """The app joins and completes a session from before, which was sound."""
    ids = run(
        owner,
        "select s.id from public.sessions as s inner join bookingdb.calendar as c on c.id = s.id and c.kind = 'session'"
        " where s.status = 'scheduled' and s.start_time > now() and s.id::text not like '%5e55%' order by 1 limit 3",
    )
    assert len(ids) == 3
    for (id_,) in ids:
        for status in ("in_progress", "completed"):
            run_named(caller, app.change_status, {"id": id_, "status": status})
        assert [new for _, _, new in audited(owner, id_)][-2:] == ["in_progress", "completed"]
    assert violations(owner) == []


def test_the_app_writes_credits_and_the_ledger_follows(app: App, owner: Connection, caller: Connection) -> None:
    before = balance(owner, CLIENT)
    run(
        caller,
        "update public.user_credits set credits_balance = credits_balance + 2"
        " where id = '00000000-0000-4000-8000-00000000c101'",
    )
    assert balance(owner, CLIENT) == before + 2
    assert violations(owner) == []


def run_named(connection: Connection, statement: str, parameters: dict[str, Any]) -> None:
    """Run a statement of an app's with parameters by name."""
    connection.execute(statement.encode(), parameters)


# ----------------------------------------------------------------------------------------------------------------------
# Sessions that could not be given a place in the calendar
# ----------------------------------------------------------------------------------------------------------------------


def test_only_sessions_without_a_place_are_reported(url: str, owner: Connection) -> None:
    unplaced = {
        str(id_)
        for (id_,) in run(
            owner,
            "select s.id from public.sessions as s where s.status = any (%s)"
            " and not exists (select from bookingdb.calendar as c where c.id = s.id and c.kind = 'session')",
            list(ACTIVE),
        )
    }
    report = answer(url, "adopt", "--report")
    text = done(url, "adopt", "--report").stdout
    listed = set(re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", json.dumps(report["unplaced"])))
    assert listed & {str(id_) for (id_,) in run(owner, "select id from public.sessions")} == unplaced
    assert all(id_ in text for id_ in unplaced)


@some_apps("clean")
def test_in_a_sound_database_every_session_has_its_place(app: App, url: str) -> None:
    assert not answer(url, "adopt", "--report")["unplaced"]


@some_apps("clean", "profiles", "times", "two_zones", "two_zones_shifted", but=True)
def test_overlapping_session_blocks_its_time_and_no_more(app: App, owner: Connection, caller: Connection) -> None:
    """Of the two, 01 was made first and lasts from 18:00 to 19:00; 02 from 18:30 to 19:30 has no place of its own."""
    assert len(occupied(owner, session("01"))) == 1
    assert occupied(owner, session("02")) == []
    ((end,),) = run(owner, "select end_time from public.sessions where id = %s", session("02"))
    for options in ({"p_user_id": CLIENT}, {"p_user_id": OTHER_CLIENT, "p_therapist_id": OTHER_THERAPIST}):
        with pytest.raises(psycopg.Error, match="Booking conflict"):
            book(caller, app, end - dt.timedelta(minutes=15), p_duration_minutes=30, **options)
    with pytest.raises(psycopg.Error, match=r"[Cc]onflict"):
        run_named(caller, app.insert, app.written(uuid4(), end - dt.timedelta(minutes=15), 30))
    # An hour later nothing is in the way.
    book(caller, app, end + dt.timedelta(hours=1), p_user_id=OTHER_CLIENT)
    assert violations(owner) == []


@some_apps("clean", "two_zones", "two_zones_shifted", but=True)
def test_overlapping_session_can_be_cancelled_and_moved(app: App, owner: Connection, caller: Connection) -> None:
    assert occupied(owner, session("02")) == []
    run(caller, "update public.sessions set description = 'called her' where id = %s", session("02"))
    run_named(caller, app.change_status, {"id": session("02"), "status": "cancelled"})
    ((end,),) = run(owner, "select end_time from public.sessions where id = %s", session("02"))
    book(caller, app, end - dt.timedelta(minutes=15), p_duration_minutes=30)

    assert occupied(owner, session("04")) == []
    later = app.free()
    run_named(caller, app.move, app.written(session("04"), later))
    assert occupied(owner, session("04"))[0][:1] == (later,)
    assert violations(owner) == []


@some_apps("clean", but=True)
def test_a_session_without_an_end_blocks_nobody_for_ever(app: App, owner: Connection, caller: Connection) -> None:
    book(caller, app, app.free(), p_therapist_id=OTHER_THERAPIST)
    book(caller, app, app.free(days=70), p_therapist_id=OTHER_THERAPIST)


@some_apps("two_zones", "two_zones_shifted")
def test_times_in_utc_are_kept_or_shifted_as_the_owner_says(app: App, owner: Connection) -> None:
    shifted = app.answers["times.wall_clock_as_utc"] == "shift"
    ((old_site, new_app),) = run(
        owner,
        "select bool_and(s.start_time = (s.scheduled_date + s.scheduled_time) at time zone"
        " case when %s then 'Africa/Lagos' else 'UTC' end) filter (where s.id::text like '%%-8000-1%%'),"
        " bool_and(s.start_time = (s.scheduled_date + s.scheduled_time) at time zone 'Africa/Lagos')"
        " filter (where s.id::text like '%%-8000-3%%')"
        " from public.sessions as s where s.scheduled_date is not null",
        shifted,
    )
    assert (old_site, new_app) == (True, True)
    together = {"01", "02"} if shifted else {"14", "15"}
    apart = {"14", "15"} if shifted else {"01", "02"}
    assert all(occupied(owner, session(number)) for number in apart)
    assert [bool(occupied(owner, session(number))) for number in sorted(together)] == [True, False]


# ----------------------------------------------------------------------------------------------------------------------
# Who may write
# ----------------------------------------------------------------------------------------------------------------------


def test_nobody_from_outside_writes_money(owner: Connection) -> None:
    for table in ("public.user_credits", "public.booking_audit_log"):
        for role in ("anon", "authenticated"):
            for privilege in ("insert", "update", "delete", "truncate"):
                assert scalar(owner, "select has_table_privilege(%s, %s, %s)", role, table, privilege) is False
                if privilege in ("insert", "update"):
                    single = scalar(owner, "select has_any_column_privilege(%s, %s, %s)", role, table, privilege)
                    assert single is False


def test_row_level_security_is_on_wherever_it_matters(owner: Connection) -> None:
    tables = [f"public.{table}" for table in OURS]
    query = "select oid::regclass::text from pg_class where oid = any (%s::regclass[]) and not relrowsecurity"
    assert run(owner, query, tables) == []


@some_apps("drift", "lots", "single_balance")
def test_nobody_grants_themselves_credits_by_an_apps_function(app: App, owner: Connection) -> None:
    assert app.giveaways
    for function in app.giveaways:
        if scalar(owner, "select to_regprocedure(%s) is not null", function):
            for role in ("anon", "authenticated"):
                allowed = scalar(owner, "select has_function_privilege(%s, %s, 'execute')", role, function)
                assert allowed is False, (role, function)


@some_apps("drift", "two_zones")
def test_the_owner_may_leave_money_writable_and_is_told_loudly(app: App, live: str, tmp_path: Path) -> None:
    path = make_plan(app, live, tmp_path, "--keep-money-writable")
    applied = done(live, "adopt", "--apply", path)
    assert re.search(r"[A-Z]{4}.*[A-Z]{4}", applied.stderr)
    with connect(live) as connection:
        query = "select has_table_privilege('authenticated', 'public.user_credits', 'update')"
        assert scalar(connection, query) is True


@some_apps("clean", "profiles")
def test_users_change_their_sessions_in_the_browser_as_before(app: App, url: str, owner: Connection) -> None:
    assert app.browser_updates
    with server_of(url) as caller:
        (booked,) = book(caller, app, app.free())
    login = psycopg.conninfo.make_conninfo(url, user="authenticator")
    for who, written in ((OTHER_CLIENT, 0), (CLIENT, 1)):
        with connect(login) as browser:
            run(browser, "set role authenticated")
            claims = json.dumps({"sub": str(who), "role": "authenticated"})
            run(browser, "select set_config('request.jwt.claims', %s, false)", claims)
            changed = browser.execute("update public.sessions set status = 'cancelled' where id = %s", [booked["id"]])
            assert changed.rowcount == written
    assert len(audited(owner, booked["id"])) == 2
    assert occupied(owner, booked["id"]) == []


# ----------------------------------------------------------------------------------------------------------------------
# Availability
# ----------------------------------------------------------------------------------------------------------------------


@some_apps("schedules", "therapists")
def test_the_apps_schedules_are_bookingdbs_and_stay_in_step(app: App, owner: Connection, caller: Connection) -> None:
    hours = "select * from public.get_weekly_hours(%s)"
    before = run(owner, hours, THERAPIST)
    assert before
    with pytest.raises(psycopg.Error, match="outside available hours"):
        book(caller, app, app.free(hour=5))
    run(
        caller,
        "update public.availability_weekly_schedules"
        " set weekly_availability = jsonb_set(weekly_availability, '{standardHours,tuesday,enabled}', 'false')"
        " where therapist_id = %s and is_active",
        THERAPIST,
    )
    assert len(run(owner, hours, THERAPIST)) < len(before)
    with pytest.raises(psycopg.Error, match="outside available hours"):
        book(caller, app, app.free())
    run(
        caller,
        "update public.availability_weekly_schedules set weekly_availability = jsonb_set("
        "weekly_availability, '{standardHours,tuesday}', %s::jsonb) where therapist_id = %s and is_active",
        json.dumps({"enabled": True, "generalHours": {"start": "04:00", "end": "08:00"}}),
        THERAPIST,
    )
    book(caller, app, app.free(hour=5))


@some_apps("schedules", "therapists")
def test_the_apps_exceptions_are_bookingdbs_and_stay_in_step(app: App, owner: Connection, caller: Connection) -> None:
    # The script's current_date is that of UTC.
    today = dt.datetime.now(dt.UTC).date()
    listed = "select o.override_date from public.list_date_overrides(%s, %s, %s) as o"
    days = {day for (day,) in run(owner, listed, THERAPIST, today, today + dt.timedelta(days=100))}
    assert {today + dt.timedelta(days=60), today + dt.timedelta(days=61)} <= days
    tuesday = app.free(days=80)
    if app.name == "therapists":
        statement = (
            "insert into public.availability_overrides (therapist_id, date, is_available) values (%s, %s, false)"
        )
    else:
        statement = (
            "insert into public.availability_overrides (therapist_id, override_date, override_type)"
            " values (%s, %s, 'unavailable')"
        )
    run(caller, statement, THERAPIST, tuesday.date())
    with pytest.raises(psycopg.Error, match="Booking conflict"):
        book(caller, app, tuesday)
    run(caller, "delete from public.availability_overrides where therapist_id = %s", THERAPIST)
    book(caller, app, tuesday)


@some_apps("schedules", "therapists")
def test_unreadable_schedule_fails_no_write_and_is_reported(
    app: App, url: str, owner: Connection, caller: Connection
) -> None:
    broken = {"standardHours": {"monday": {"enabled": True, "generalHours": {"start": "early"}}}}
    written = scalar(
        caller,
        "insert into public.availability_weekly_schedules (therapist_id, weekly_availability)"
        " values (%s, %s::jsonb) returning id",
        OTHER_THERAPIST if app.name == "therapists" else person("c1"),
        json.dumps(broken),
    )
    reported = json.dumps(answer(url, "adopt", "--report"))
    assert str(written) in reported
    if app.name == "schedules":
        # As it was found.
        assert "00000000-0000-4000-8000-000000005c04" in reported
    assert violations(owner) == []


# ----------------------------------------------------------------------------------------------------------------------
# Undoing it
# ----------------------------------------------------------------------------------------------------------------------


def test_undo_puts_every_object_and_every_row_back(taken: Adopted, url: str) -> None:
    done(url, "adopt", "--undo")
    assert schema_dump(url) == taken.found.dump
    assert differences(taken.found.rows, rows(url)) == []


def test_undo_keeps_what_has_happened_since(app: App, taken: Adopted, url: str) -> None:
    written = uuid4()
    with server_of(url) as caller:
        (booked,) = book(caller, app, app.free())
        run_named(caller, app.insert, app.written(written, app.free(hour=14)))
        (later,) = run(
            caller, "select id from public.sessions where status = 'scheduled' and id::text like '%-8000-1%' limit 1"
        )
        run_named(caller, app.change_status, {"id": later[0], "status": "completed"})
    done(url, "adopt", "--undo")
    assert without_checks(schema_dump(url)) == without_checks(taken.found.dump)
    after = rows(url)
    ids = {row["id"]: row for row in after["public.sessions"]}
    assert {str(booked["id"]), str(written)} <= ids.keys()
    assert ids[str(later[0])]["status"] == "completed"
    spent = _credits(taken.found.rows) - _credits(after)
    assert spent == 1


def without_checks(dump: str) -> tuple[set[str], set[str]]:
    """The lines of a dump, and the names of its checks: one that later rows break comes back not valid, elsewhere."""
    lines = {line.strip().removesuffix(",") for line in dump.splitlines()}
    check = re.compile(r"(?:ADD )?CONSTRAINT (\S+) CHECK |-- Name: .* CHECK CONSTRAINT;|ALTER TABLE (?:ONLY )?\S+$")
    names = {found[1] for line in lines if (found := check.match(line)) and found[1]}
    return {line for line in lines if not check.match(line)}, names


def _credits(contents: Rows) -> int:
    return sum(row["credits_balance"] or 0 for row in contents["public.user_credits"] if row["user_id"] == str(CLIENT))


@some_apps("clean")
def test_an_adopted_database_is_given_back_not_uninstalled(app: App, url: str) -> None:
    before = schema_dump(url)
    result = bookingdb(url, "uninstall", "--yes")
    assert result.exit_code == 1
    assert "bookingdb adopt --undo" in result.output
    assert schema_dump(url) == before


@some_apps("drift")
def test_a_companion_trigger_that_is_missing_or_off_is_noticed(app: App, url: str, owner: Connection) -> None:
    for statement in (
        "alter table public.sessions disable trigger bookingdb_times",
        "drop trigger bookingdb_times on public.sessions",
    ):
        run(owner, statement)
        result = bookingdb(url, "verify")
        assert result.exit_code == 1
        assert "bookingdb_times on public.sessions" in result.output


def test_a_database_that_was_never_adopted_has_nothing_to_undo(found: Found, live: str) -> None:
    result = bookingdb(live, "adopt", "--undo")
    assert result.exit_code == 1
    assert "No such command" not in result.output
    assert schema_dump(live) == found.dump


@some_apps("clean", "drift", "enrollments")
def test_after_undo_it_can_be_adopted_again(app: App, url: str, tmp_path: Path) -> None:
    done(url, "adopt", "--undo")
    adopt(app, url, tmp_path)
    assert bookingdb(url, "verify").exit_code == 0


# ----------------------------------------------------------------------------------------------------------------------
# Refusals
# ----------------------------------------------------------------------------------------------------------------------

CHANGES = {
    "a column": "alter table public.sessions add column extra text",
    "a trigger": "create trigger another before insert on public.sessions for each row"
    " execute function suppress_redundant_updates_trigger()",
    "a function": "create or replace function public.create_session_with_credit_deduction(p_new uuid) returns uuid"
    " language sql as 'select p_new'",
    "a policy": "create policy another on public.sessions for delete using (true)",
    "a privilege": "grant select (id) on public.sessions to public",
    "a broken row": "insert into public.sessions (user_id, therapist_id, start_time, end_time)"
    f" values ('{CLIENT}', '{THERAPIST}', now() + interval '90 days', now() + interval '89 days')",
}


@pytest.mark.parametrize("change", CHANGES)
@some_apps("drift", "profiles")
def test_apply_refuses_when_the_database_has_changed_since(app: App, live: str, tmp_path: Path, change: str) -> None:
    path = make_plan(app, live, tmp_path)
    with connect(live) as connection:
        if change == "a broken row":
            run(connection, "alter table public.sessions disable trigger user")
        run(connection, CHANGES[change])
    dump, contents = schema_dump(live), rows(live)
    refused = bookingdb(live, "adopt", "--apply", path)
    assert refused.exit_code == 1
    assert re.search("chang|no longer|not as it was", refused.stderr)
    assert (schema_dump(live), rows(live)) == (dump, contents)


@some_apps("lots")
def test_apply_refuses_broken_plans_and_answers(app: App, found: Found, live: str, tmp_path: Path) -> None:
    path = make_plan(app, live, tmp_path)
    text = path.read_text(encoding="utf-8")
    unknown_zone = with_answers(text, {"zone": "Mars/Base"})
    for spoilt in ("", "fingerprint = ", text.replace("fingerprint", "finger"), unknown_zone):
        path.write_text(spoilt, encoding="utf-8")
        refused = bookingdb(live, "adopt", "--apply", path)
        assert refused.exit_code == 1
        assert refused.stderr.splitlines()[-1].startswith("bookingdb: ")
    assert bookingdb(live, "adopt", "--apply", tmp_path / "none.toml").exit_code in (1, 2)
    assert schema_dump(live) == found.dump


def test_migrate_refuses_and_points_to_adopt(found: Found, live: str) -> None:
    refused = bookingdb(live, "migrate")
    assert refused.exit_code == 1
    assert "bookingdb adopt" in refused.stderr
    assert schema_dump(live) == found.dump
    assert rows(live) == found.rows


# ----------------------------------------------------------------------------------------------------------------------
# Interrupted
# ----------------------------------------------------------------------------------------------------------------------


def backend_of(observer: Connection, seconds: float = 60) -> int:
    """Wait for the backend of somebody else who has begun to write in this database."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = run(
            observer,
            "select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
            " and backend_xid is not null",
        )
        if found:
            return int(found[0][0])
        time.sleep(0.002)
    raise AssertionError("nobody has begun to write")


@pytest.mark.parametrize("moment", [0.0, 0.1, 0.25, 0.5, 0.75, 0.9])
@some_apps("drift")
def test_killed_adoption_leaves_all_or_nothing(
    app: App, found: Found, live: str, tmp_path: Path, moment: float
) -> None:
    path = make_plan(app, live, tmp_path)
    with found.copy() as other:
        begun = time.monotonic()
        done(other, "adopt", "--apply", make_plan(app, other, tmp_path))
        whole = time.monotonic() - begun
    superuser = psycopg.conninfo.make_conninfo(live, user=found.host.superuser)
    with connect(superuser) as observer, process(live, "adopt", "--apply", path) as running:
        pid = backend_of(observer)
        time.sleep(moment * whole * random.uniform(0.8, 1))
        run(observer, "select pg_terminate_backend(%s)", pid)
        output, _ = running.communicate(timeout=120)
        if running.returncode:
            assert "Traceback" not in output
    with connect(live) as connection:
        is_adopted = scalar(connection, "select to_regclass('bookingdb.history') is not null")
    assert is_adopted == (running.returncode == 0)
    if is_adopted:
        assert bookingdb(live, "verify").exit_code == 0
    else:
        assert schema_dump(live) == found.dump
        assert rows(live) == found.rows
        done(live, "adopt", "--apply", path)
    assert bookingdb(live, "verify").exit_code == 0


@some_apps("drift")
def test_killed_undo_leaves_all_or_nothing(app: App, taken: Adopted, url: str) -> None:
    superuser = psycopg.conninfo.make_conninfo(url, user=taken.found.host.superuser)
    with connect(superuser) as observer, process(url, "adopt", "--undo") as running:
        pid = backend_of(observer)
        time.sleep(0.05)
        run(observer, "select pg_terminate_backend(%s)", pid)
        running.communicate(timeout=120)
    if running.returncode:
        assert bookingdb(url, "verify").exit_code == 0
        done(url, "adopt", "--undo")
    assert schema_dump(url) == taken.found.dump


@some_apps("clean")
def test_apply_waits_for_nobody_for_ever(app: App, found: Found, live: str, tmp_path: Path) -> None:
    """A transaction that has the table makes it give up, or wait, but never stop the app for longer than it says."""
    path = make_plan(app, live, tmp_path)
    with connect(live) as reader, reader.transaction():
        run(reader, "select count(*) from public.sessions")
        with process(live, "adopt", "--apply", path) as running:
            try:
                running.communicate(timeout=60)
                assert running.returncode == 1
            except Exception:
                running.kill()
                raise
    assert schema_dump(live) == found.dump


@some_apps("clean", "drift", "lots")
def test_what_the_app_goes_on_writing_does_not_change_a_plan(app: App, live: str, tmp_path: Path) -> None:
    path = make_plan(app, live, tmp_path)
    with server_of(live) as server:
        run(server, "select set_config('timezone', %s, false)", app.zone)
        run_named(server, app.insert, app.written(uuid4(), app.free(hour=15)))
        book(server, app, app.free())
    done(live, "adopt", "--apply", path)
    assert bookingdb(live, "verify").exit_code == 0
