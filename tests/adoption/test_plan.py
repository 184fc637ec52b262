"""The plan of an adoption: what it asks, what it proposes, and that it only reads."""

from __future__ import annotations

import datetime as dt
import json
import re
import tomllib
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
import pytest

from bookingdb.adoption.plan import file as plan_file
from tests.apps import (
    App,
    book,
    rows,
    schema_dump,
    server_of,
)
from tests.support import ROOT, adoption, connect, run
from tests.support.adoption import (
    OURS,
    Found,
    on_its_host,
    read_only,
    some_apps,
)
from tests.support.commands import bookingdb, done


@cache
def printed(app: App, url: str) -> str:
    """The plan before anything is answered, made the first time somebody asks."""
    return done(url, "adopt", "--plan", "--adapter", app.adapter).stdout


@pytest.mark.slow
@on_its_host
def test_a_plan_reads_only(app: App, found: Found) -> None:
    done(read_only(found.url), "adopt", "--plan", "--adapter", app.adapter)
    assert schema_dump(found.url) == found.dump
    assert rows(found.url) == found.rows


def test_plan_is_toml_with_all_that_a_person_decides_from(app: App, found: Found) -> None:
    plan = tomllib.loads(printed(app, found.url))
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
    assert printed(app, found.url).strip() == path.read_text(encoding="utf-8").strip()


def test_question_of_a_plan_gives_reasons_for_its_answer(app: App, found: Found) -> None:
    text = printed(app, found.url)
    lines = text.splitlines()
    for key in tomllib.loads(text)["answers"]:
        (number,) = (n for n, line in enumerate(lines) if line.startswith((f"{json.dumps(key)} = ", f"{key} = ")))
        assert lines[number - 1].startswith("#"), key


def test_a_plan_lists_every_damaged_row_by_its_class(app: App, found: Found, tmp_path: Path) -> None:
    plan = tomllib.loads(adoption.make_plan(app, found.url, tmp_path).read_text(encoding="utf-8"))
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
def test_plan_lists_some_rows_of_a_large_class_and_counts_all(
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
    rows = tomllib.loads(done(found.url, "adopt", "--plan").stdout)["rows"]
    # That a lot is used up is no damage.
    assert {row["class"] for row in rows} <= {"credits.used_up"}


def test_a_plan_proposes_a_zone_whose_clocks_explain_the_rows(app: App, found: Found) -> None:
    text = printed(app, found.url)
    if app.has_evidence_of_zone and app.zone != "UTC":
        # Rows of one season do not tell zones apart whose clocks part in another: the best is named, not proposed.
        best = re.findall(r"(?m)^#   (\w+/\S+): [1-9]\d* are right only there", text)
        now = dt.datetime.now(dt.UTC)
        offset = now.astimezone(ZoneInfo(app.zone)).utcoffset()
        proposed = [tomllib.loads(text)["answers"]["zone"] or zone for zone in best[:1]]
        assert proposed or not offset
        assert all(now.astimezone(ZoneInfo(zone)).utcoffset() == offset for zone in proposed)


def test_plan_names_every_object_that_matters(app: App, found: Found) -> None:
    text = printed(app, found.url)
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
    assert "The trigger changes credits;" in words
    assert "what is written directly costs and returns none once this is off" in words


def _bare(text: str) -> str:
    """The text without what differs between two ways of writing a signature."""
    return re.sub(
        r"\s+|public\.|without time zone", "", text.replace("\\\n", "").replace("character varying", "varchar")
    )


@some_apps("profiles", "enrollments", "therapists")
def test_plan_with_an_unfit_adapter_cannot_be_applied(app: App, live: str, found: Found, tmp_path: Path) -> None:
    wrong = "therapists" if app.adapter != "therapists" else "enrollments"
    path = tmp_path / "plan.toml"
    bookingdb(live, "adopt", "--plan", "--output", path, "--adapter", wrong)
    if path.exists():
        assert tomllib.loads(path.read_text(encoding="utf-8"))["problems"]
        assert bookingdb(live, "adopt", "--apply", path).exit_code == 1
    assert schema_dump(live) == found.dump


@pytest.mark.slow
@some_apps("enrollments")
def test_an_adapter_may_be_a_file_of_the_owners(app: App, live: str, tmp_path: Path) -> None:
    ours = ROOT / "sql" / "adapters" / "enrollments.sql"
    own = tmp_path / "mine.sql"
    own.write_text(ours.read_text(encoding="utf-8") + "\n-- Mine.\n", encoding="utf-8")
    path = tmp_path / "plan.toml"
    done(live, "adopt", "--plan", "--output", path, "--adapter", own)
    path.write_text(adoption.answered(app, path.read_text(encoding="utf-8")), encoding="utf-8")
    adoption.make_again(live, path)
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
