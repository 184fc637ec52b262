"""What an adoption leaves: no row lost, none altered but as the plan said."""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.apps import (
    App,
    differences,
    rows,
    schema_dump,
)
from tests.support import Connection, run
from tests.support.adoption import (
    Adopted,
    Found,
    adopt,
    balance,
    is_sound,
    on_its_host,
    recorded,
    some_apps,
    violations,
)
from tests.support.commands import answer, bookingdb, done
from tests.support.hosts import Host


@pytest.mark.slow
@on_its_host
def test_adopted_database_is_sound_and_goes_back(app: App, host: Host, found: Found, live: str, tmp_path: Path) -> None:
    adopt(app, live, tmp_path)
    assert is_sound(app, live)
    for command in ("lint", "selftest"):
        result = bookingdb(live, command)
        assert result.exit_code == 0, (command, result.output)
    assert "Nothing to do" in done(live, "migrate").stdout
    done(live, "adopt", "--undo")
    assert schema_dump(live) == found.dump
    assert differences(found.rows, rows(live)) == []


def test_it_keeps_every_invariant(reader: Connection) -> None:
    assert violations(reader) == []


def test_a_second_plan_is_empty(app: App, read_url: str) -> None:
    plan = tomllib.loads(done(read_url, "adopt", "--plan", "--adapter", app.adapter).stdout)
    assert not plan["changes"]
    assert not plan["rows"]


def test_it_is_adopted_once(app: App, taken: Adopted, url: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(taken.text, encoding="utf-8")
    before = schema_dump(url)
    assert bookingdb(url, "adopt", "--apply", path).exit_code == 1
    assert schema_dump(url) == before


def test_no_row_is_missing_or_altered_but_as_the_plan_said(
    app: App, taken: Adopted, read_url: str, reader: Connection
) -> None:
    planned = {(each["table"], id_) for each in taken.plan["rows"] for id_ in each["ids"]}
    records: dict[tuple[str, str], dict[str, tuple[Any, Any]]] = {}
    for record in recorded(reader, "row"):
        table = record["object"] if "." in record["object"] else f"public.{record['object']}"
        columns = records.setdefault((table, record["row_key"]["id"]), {})
        for name, original in (record["original"] or {}).items():
            if original != record["adopted"][name]:
                columns[name] = (original, record["adopted"][name])

    altered: dict[tuple[str, str], dict[str, tuple[Any, Any]]] = {}
    for difference in differences(taken.found.rows, rows(read_url)):
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
def test_time_of_day_becomes_its_instant_in_the_zone(app: App, taken: Adopted, reader: Connection) -> None:
    before = {row["id"]: row for row in taken.found.rows["public.sessions"]}
    zone = ZoneInfo(app.zone)
    for id_, start, end in run(reader, "select id::text, start_time, end_time from public.sessions"):
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
def test_credits_are_good_until_their_last_day_is_over(app: App, taken: Adopted, reader: Connection) -> None:
    before = {row["id"]: row["expires_at"] for row in taken.found.rows["public.user_credits"] if row["expires_at"]}
    assert before
    for id_, expires_at in run(reader, "select id::text, expires_at from public.user_credits"):
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


def test_every_session_begins_its_history_with_its_adoption(reader: Connection) -> None:
    others = """
        select s.id from public.sessions as s where (
            select count(*) from public.booking_audit_log as a
            where a.session_id = s.id and a.action = 'adopted' and a.old_status is null
                and a.new_status is not distinct from s.status
        ) <> 1
    """
    assert run(reader, others) == []


def test_every_lot_has_what_it_had_and_the_ledger_opens_with_it(reader: Connection) -> None:
    others = """
        select c.id, c.credits_balance from public.user_credits as c
        where c.user_id is not null and c.credits_balance <> (
            select coalesce(sum(l.amount), 0) from bookingdb.ledger as l where l.lot_id = c.id
        )
    """
    assert run(reader, others) == []
    assert run(reader, "select distinct l.kind from bookingdb.ledger as l") == [("opening",)]


def test_clients_can_spend_what_they_could_spend(app: App, reader: Connection) -> None:
    assert {client: balance(reader, client) for client in app.balances} == dict(app.balances)


def test_report_shows_balances_before_and_after(app: App, found: Found, read_url: str) -> None:
    report = answer(read_url, "adopt", "--report")
    for client, after in app.balances.items():
        shown = report["balances"][str(client)]
        assert shown["spendable"] == after
        lots = [lot for lot in found.rows["public.user_credits"] if lot["user_id"] == str(client)]
        assert shown["before"] == sum(lot["credits_balance"] or 0 for lot in lots)
