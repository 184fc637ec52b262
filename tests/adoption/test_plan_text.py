"""The text of a plan, for whoever reads it: its order, its sentences, its counts, and the same as a page."""

from __future__ import annotations

import json
import re
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from bookingdb.adoption.application import Application
from bookingdb.adoption.damage import Damage
from bookingdb.adoption.plan import file as plan_file
from bookingdb.adoption.plan.counts import Counts
from bookingdb.adoption.plan.draft import Change, Plan, Question
from bookingdb.adoption.plan.page import write_page
from bookingdb.adoption.plan.summary import summarize
from tests.apps import APPS, App
from tests.support import connect, run
from tests.support.adoption import Adopted, Found, make_plan, some_apps
from tests.support.commands import answer, done

SECTIONS = (
    "Summary",
    "What this plan was made for",
    "Questions and answers",
    "Rows, by class",
    "Changes in short",
    "Appendix",
)
HOSTILE = "<script>alert(1)</script>\n'\"&\u202e\x01 over"


def plan_of(questions: list[Question], **parts: object) -> Plan:
    """A plan for nothing, with these questions."""
    application = Application({}, {}, [], [], [], [], [], None, has_extensions_schema=False)
    empty: dict[str, object] = {"changes": [], "damage": [], "found": {}, "problems": [], "balances": {}}
    answers = {each.key: each.default for each in questions}
    return Plan("standalone", application, questions, answers, **(empty | parts))  # type: ignore[arg-type]


# What is written of these is written of all: few rows, every damage, lots, times of the wrong clock, times of day.
@pytest.fixture(
    params=[
        pytest.param(APPS[name], marks=() if name in ("clean", "drift") else pytest.mark.slow, id=name)
        for name in ("clean", "drift", "lots", "two_zones_shifted", "times")
    ]
)
def app(request: pytest.FixtureRequest) -> App:
    """Some of the apps, unless a test says which."""
    chosen = request.param
    assert isinstance(chosen, App)
    return chosen


def written(url: str, app: App, folder: Path) -> tuple[str, ET.Element]:
    """The plan as its file, and as its page."""
    path, page = folder / "plan.toml", folder / "plan.html"
    done(url, "adopt", "--plan", "--adapter", app.adapter, "--output", path, "--html", page)
    return path.read_text(encoding="utf-8"), ET.fromstring(page.read_text(encoding="utf-8"))


def sentences(text: str) -> list[str]:
    """The sentences of the summary, each on one line."""
    summary = text.partition("# Summary\n")[2].partition("# What this plan was made for")[0]
    lines = [line.removeprefix("# ") for line in summary.splitlines() if line.startswith(("# - ", "#   "))]
    return [" ".join(each.split()) for each in "\n".join(lines).removeprefix("- ").split("\n- ")]


# ----------------------------------------------------------------------------------------------------------------------
# Order
# ----------------------------------------------------------------------------------------------------------------------


def test_sections_of_a_plan_stand_in_order(app: App, found: Found, tmp_path: Path) -> None:
    text, page = written(found.url, app, tmp_path)
    titles = re.findall(r"(?m)^# =+\n# (.+)\n# =+$", text)
    assert tuple(titles) == SECTIONS
    assert text.index("[answers]") < text.index("[repairs]") < text.index("[[changes]]") < text.index("[balances]")
    headings = [each.text for each in page.iter("h2")]
    assert headings == ["Contents", *(title for title in SECTIONS if title != "What this plan was made for")]


def test_questions_stand_in_the_order_of_danger() -> None:
    keys = ["copy.notes", "schedule.x", "notification", "trigger.t", "function.f", "money.writable", "zone"]
    questions = [Question(key, ("It is so.",), "a", {"a": "it is"}) for key in keys]
    unanswered = Question("rows.shifted", ("It is so.",), "", {"a": "it is"}, is_open=True)
    plan = plan_of([*questions, unanswered])
    text = plan_file.write(plan)
    assert list(tomllib.loads(text)["answers"]) == ["rows.shifted", *reversed(keys)]
    assert text.count("TO BE ANSWERED") == 1
    assert text.index("TO BE ANSWERED") < text.index('"rows.shifted" = ""')
    page = write_page(plan)
    assert page.count("TO BE ANSWERED") == 1
    positions = [page.index(f"{key}&quot;") for key in ["rows.shifted", *reversed(keys)]]
    assert positions == sorted(positions)
    assert any("Only you can answer rows.shifted" in each for part in summarize(plan) for each in part.sentences)


def test_changes_of_one_kind_are_one_line() -> None:
    grants = [Change(4, f"privileges on table public.t{n}", "callers keep it", ("grant a",) * 40) for n in range(3)]
    indexes = [Change(3, f"index public.i{n}", "rows are found this way", ("create index i",)) for n in range(14)]
    text = plan_file.write(plan_of([], changes=[*grants, *indexes]))
    short = text.partition("# Changes in short\n")[2].partition("# Appendix")[0]
    assert re.findall(r"(?m)^# - (\d+ \w+)", short) == ["120 statements", "14 indexes"]
    assert "The plan makes 17 changes." in short


# ----------------------------------------------------------------------------------------------------------------------
# Sentences
# ----------------------------------------------------------------------------------------------------------------------


def test_sentence_of_the_summary_is_whole(app: App, found: Found, tmp_path: Path) -> None:
    text, _ = written(found.url, app, tmp_path)
    assert len(sentences(text)) >= 4
    assert not [each for each in sentences(text) if not re.fullmatch(r"[A-Z].*\.", each)]


@some_apps("drift")
def test_summary_says_what_changes_and_what_is_at_risk(app: App, found: Found, tmp_path: Path) -> None:
    said = sentences(written(found.url, app, tmp_path)[0])
    assert "Clients can no longer write their own credits." in said
    assert "A cancelled time can be booked again." in said
    assert "The balance changes in 2 lots." in said
    assert "Overlaps may remain in 4 sessions, which somebody must move or cancel." in said
    assert any(each.startswith("Callers of public.create_session_with_credit_deduction(uuid,uuid,") for each in said)
    assert any(re.match(r"Nobody can read or write the application's tables for about \d+ seconds\.", e) for e in said)


@some_apps("single_balance")
def test_summary_names_functions_whose_on_conflict_fails(app: App, found: Found, tmp_path: Path) -> None:
    said = sentences(written(found.url, app, tmp_path)[0])
    assert (
        "Calls of the function public.top_up(uuid,integer) fail, because its ON CONFLICT names"
        " user_credits_user_id_user_type_key." in said
    )


def test_summary_counts_rows_that_cannot_be_repaired() -> None:
    lost = Damage("rows.end_missing", "public.sessions", "sessions without an end", "they get one", ["a", "b"], ["b"])
    plan = plan_of([], damage=[lost], problems=["the table is a view"])
    said = sentences(plan_file.write(plan))
    assert said[0] == "This database cannot be adopted yet: the table is a view."
    assert "No repair is possible for 1 of 2 rows in the class rows.end_missing." in said


def test_line_of_a_plan_is_short_unless_it_is_an_answer(app: App, found: Found, tmp_path: Path) -> None:
    text, _ = written(found.url, app, tmp_path)
    answers = text.partition("[answers]")[2].partition("# Rows, by class")[0]
    long = [line for line in text.splitlines() if len(line) > 120]
    assert not [line for line in long if line not in answers or line.startswith("#")]


def test_statements_over_several_lines_are_the_same() -> None:
    statement = "create index x\n\n   on y  (z);" + '  a\tb \'c\\d\' """ é\x07' * 30 + "w" * 400
    for text in (statement, " " + statement, statement + " \n "):
        plan = plan_of([], changes=[Change(1, "index x", "it is needed", (text,))])
        document = plan_file.write(plan)
        assert tomllib.loads(document)["changes"][0]["statements"] == [text]
        assert max(map(len, document.splitlines())) <= 400


def test_outage_grows_with_the_rows() -> None:
    small, large = Counts({"sessions": 1000}, 500), Counts({"sessions": 200_000}, 100_000, {"times": 200_000})
    assert small.outage < large.outage
    assert "How long the outage is" in {part.heading for part in summarize(plan_of([], counts=large))}


# ----------------------------------------------------------------------------------------------------------------------
# Counts
# ----------------------------------------------------------------------------------------------------------------------


def test_rows_that_change_are_those_that_the_plan_counted(app: App, live: str, tmp_path: Path) -> None:
    path = make_plan(app, live, tmp_path)
    planned = tomllib.loads(path.read_text(encoding="utf-8"))["repairs"]
    said = done(live, "adopt", "--apply", path).stdout
    assert f", {sum(planned.values())} rows repaired." in said
    assert dict(re.findall(r"(?m)^  (\S+): (\d+)$", said)) == {key: str(number) for key, number in planned.items()}
    report = answer(live, "adopt", "--report")
    assert report["repaired"] == report["planned"] == planned
    assert sum(report["rows_changed"].values()) == sum(planned.values())
    assert f"{sum(planned.values())} rows were repaired" in done(live, "adopt", "--report").stdout


@some_apps("drift")
def test_report_tells_of_rows_that_came_up_since_the_plan(app: App, live: str, tmp_path: Path) -> None:
    path = make_plan(app, live, tmp_path)
    with connect(live) as owner:
        run(
            owner,
            "update public.user_credits set status = null"
            " where id = (select c.id from public.user_credits as c where c.status = 'active' order by c.id limit 1)",
        )
        run(owner, "update public.sessions set end_time = start_time + interval '1 hour' where end_time < start_time")
    said = done(live, "adopt", "--apply", path).stdout + done(live, "adopt", "--report").stdout
    came = "  credits.missing_status: 32 (1 came up since the plan, and was treated by the same answers)\n"
    assert said.count(came) == 2
    went = "  rows.end_before_start: 0 (the plan counted 1: the application changed the others since)\n"
    assert said.count(went) == 2


# ----------------------------------------------------------------------------------------------------------------------
# The page
# ----------------------------------------------------------------------------------------------------------------------


def test_page_has_what_the_file_has(app: App, found: Found, tmp_path: Path) -> None:
    text, page = written(found.url, app, tmp_path)
    plan = tomllib.loads(text)
    shown = "".join(page.itertext())
    assert not [key for key in plan["answers"] if json.dumps(key) not in shown]
    assert not [each["class"] for each in plan["rows"] if each["class"] not in shown]
    assert not [id_ for each in plan["rows"] for id_ in each["ids"] if id_ not in shown]
    assert not [line for each in plan["changes"] for line in each["statements"] if line not in shown]
    assert not [each for each in sentences(text) if each not in " ".join(shown.split())]
    targets = {each.get("id") for each in page.iter("section")}
    assert {str(each.get("href")).removeprefix("#") for each in page.iter("a")} == targets


def test_page_needs_nothing_from_elsewhere(app: App, found: Found, tmp_path: Path) -> None:
    _, page = written(found.url, app, tmp_path)
    assert not {each.tag for each in page.iter()} & {"script", "link", "img", "iframe", "object", "base"}
    assert not [each for each in page.iter() if any(name.startswith("on") or name == "src" for name in each.attrib)]


@some_apps("clean")
def test_hostile_names_are_harmless_in_a_plan(app: App, live: str, tmp_path: Path) -> None:
    function = 'public."<img src=x onerror=alert(1)>"()'
    with connect(live) as owner:
        run(owner, "alter table public.sessions drop constraint if exists sessions_status_check")
        run(owner, "alter table public.sessions alter column status type text")
        run(owner, "update public.sessions set status = %s where status = 'cancelled'", HOSTILE)
        body = "begin update public.user_credits set credits_balance = 9; end"
        owner.execute(f"create function {function} returns void language plpgsql as '{body}'".encode())
    text, page = written(live, app, tmp_path)
    assert f"status.{HOSTILE}" in tomllib.loads(text)["answers"]
    assert f"function.{function}" in tomllib.loads(text)["answers"]
    assert not [each for each in text if not each.isprintable() and each != "\n"]
    assert not [each for each in page.iter() if each.tag in ("script", "img")]
    shown = "".join(page.itertext())
    assert "status.<script>alert(1)</script>" in shown
    assert function.split('"')[1] in shown
    # What was written can be applied as it is.
    done(live, "adopt", "--plan", "--answers", tmp_path / "plan.toml", "--output", tmp_path / "plan.toml")


@some_apps("clean")
def test_page_leaves_the_printed_plan_as_it_is(app: App, found: Found, tmp_path: Path) -> None:
    page = tmp_path / "plan.html"
    assert done(found.url, "adopt", "--plan", "--html", page).stdout == done(found.url, "adopt", "--plan").stdout
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


@some_apps("drift")
def test_report_of_an_adoption_names_the_classes(app: App, taken: Adopted) -> None:
    report = answer(taken.url, "adopt", "--report")
    assert report["repaired"] == taken.plan["repairs"]
