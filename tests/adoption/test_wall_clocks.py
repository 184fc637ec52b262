"""Wall clock times that were stored as if they were UTC: what the rows say, what a person answers, what comes out."""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bookingdb.adoption import prepare
from bookingdb.checks import verify
from tests.apps import (
    OTHER_CLIENT,
    OTHER_THERAPIST,
    THERAPIST,
    App,
    book,
    differences,
    rows,
    schema_dump,
    server_of,
    session,
)
from tests.support import connect, run, scalar
from tests.support.adoption import (
    UNSCHEDULED,
    Found,
    is_sound,
    plan_at_once,
    violations,
    with_faults,
)
from tests.support.commands import bookingdb, done

AS_UTC = "times.wall_clock_as_utc"
WHERE, OTHERS = f"{AS_UTC}.where", f"{AS_UTC}.others"
lagos = with_faults("wall_clock_lagos")
families = with_faults("wall_clock_families")
unscheduled = with_faults("wall_clock_unscheduled")


def plan_with(url: str, folder: Path, **answers: str) -> Path:
    """The plan that a person answers; starts without a scheduled time stay unless the answers say otherwise."""
    return open_plan(url, folder, **{UNSCHEDULED.replace(".", "__"): "keep", **answers})


def open_plan(url: str, folder: Path, **answers: str) -> Path:
    """The plan for these answers, and no further; a name has ``__`` for dots."""
    path = folder / "plan.toml"
    given = {name.replace("__", "."): value for name, value in answers.items()}
    plan_at_once(url, path, given)
    plan = read(path)
    # Starts without a scheduled time are asked about where there are any.
    assert plan["problems"] or given.keys() - {UNSCHEDULED} <= plan["answers"].keys()
    return path


def read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def evidence(path: Path, key: str) -> str:
    """What the plan says before an answer, on one line."""
    above, _ = path.read_text(encoding="utf-8").split(f'\n"{key}" = ', 1)
    return " ".join(above.rpartition("\n\n")[2].replace("\n#", " ").split())


def classes(path: Path) -> dict[str, int]:
    return {each["class"]: each["count"] for each in read(path)["rows"]}


def schedules(url: str, zone: str) -> dict[Any, tuple[Any, Any, Any]]:
    """By session: the scheduled local time, and start and end as local times in a zone."""
    query = """
        select s.id, s.scheduled_date + s.scheduled_time, s.start_time at time zone %s, s.end_time at time zone %s
        from public.sessions as s
    """
    with connect(url, options="-c timezone=UTC") as connection:
        return {id_: tuple(times) for id_, *times in run(connection, query, zone, zone)}


def reported(url: str) -> list[str]:
    """What `verify` says about sessions with two times."""
    with connect(url) as connection:
        return [each.problem for each in verify.verify(connection) if each.group == verify.CONTRADICTORY_TIMES]


def assert_undone(url: str, found: Found) -> None:
    done(url, "adopt", "--undo")
    assert schema_dump(url) == found.dump
    assert differences(found.rows, rows(url)) == []


# ----------------------------------------------------------------------------------------------------------------------
# The zone
# ----------------------------------------------------------------------------------------------------------------------


@with_faults("wall_clock_lagos", "wall_clock_london_winter", "wall_clock_families")
def test_zone_has_no_default_where_utc_fits_best(app: App, found: Found, live: str, tmp_path: Path) -> None:
    path = plan_with(live, tmp_path)
    assert read(path)["answers"]["zone"] == ""

    refused = bookingdb(live, "adopt", "--apply", path)

    assert refused.exit_code == 1
    assert "only a person can answer zone" in refused.output
    assert schema_dump(live) == found.dump
    assert rows(live) == found.rows


@with_faults("wall_clock_london")
def test_zone_that_explains_more_than_utc_is_the_default(app: App, live: str, tmp_path: Path) -> None:
    path = plan_with(live, tmp_path)
    assert read(path)["answers"]["zone"] == "Europe/London"
    assert AS_UTC not in read(path)["answers"]
    done(live, "adopt", "--apply", path)
    assert is_sound(app, live)


@with_faults("wall_clock_london")
def test_zones_whose_clocks_part_later_leave_the_zone_open(app: App, live: str, tmp_path: Path) -> None:
    """In summer Lagos has London's clocks."""
    with connect(live) as owner:
        run(
            owner,
            "delete from public.sessions as s where s.start_time at time zone 'Europe/London'"
            " = s.start_time at time zone 'UTC'",
        )
    path = plan_with(live, tmp_path)
    assert read(path)["answers"]["zone"] == ""
    assert "Europe/London, Africa/Lagos explain the same sessions" in evidence(path, "zone")


@with_faults("wall_clock_timestamps")
def test_zone_of_timestamps_is_open_where_no_row_decides(app: App, found: Found, live: str, tmp_path: Path) -> None:
    path = plan_with(live, tmp_path)
    assert read(path)["answers"]["zone.timestamps"] == ""
    assert bookingdb(live, "adopt", "--apply", path).exit_code == 1

    path = plan_with(live, tmp_path, zone="Africa/Lagos", zone__timestamps="Africa/Lagos")

    assert AS_UTC not in read(path)["answers"]
    done(live, "adopt", "--apply", path)
    assert all(scheduled == start for scheduled, start, _ in schedules(live, app.zone).values())
    assert is_sound(app, live)
    with server_of(live) as caller:
        book(caller, app, app.free(), p_user_id=OTHER_CLIENT)
    undone = done(live, "adopt", "--undo").output
    assert "1 session(s) were made or changed since" in undone
    assert "timestamp without a zone again, and the right time in Africa/Lagos" in " ".join(undone.split())
    assert schema_dump(live) == found.dump


# ----------------------------------------------------------------------------------------------------------------------
# The evidence
# ----------------------------------------------------------------------------------------------------------------------


@lagos
def test_wall_clocks_as_utc_are_counted_by_month(app: App, found: Found, live: str, tmp_path: Path) -> None:
    path = plan_with(live, tmp_path, zone="Africa/Lagos")
    said = evidence(path, AS_UTC)
    with connect(live) as owner:
        by_month = run(
            owner,
            "select to_char(s.start_time at time zone 'Africa/Lagos', 'YYYY-MM'), count(*) filter (where s.id <> %s),"
            " count(*) filter (where s.id = %s) from public.sessions as s where s.scheduled_date is not null"
            " group by 1",
            session("23"),
            session("23"),
        )
    assert len(by_month) > 2
    for month, as_utc, neither in by_month:
        assert f"{month}: 0 in Africa/Lagos, {as_utc} only in UTC, {neither} in neither" in said
    assert "170 of 171 sessions have a scheduled date and time that is their start_time in UTC" in said
    assert "14:00, start_time is " in said
    assert classes(path)[AS_UTC] == 170
    assert classes(path)["times.unexplained"] == 1
    assert "1 sessions have a start_time and no scheduled date and time" in evidence(path, "zone")


@families
def test_hints_name_the_column_that_tells_families_apart(app: App, live: str, tmp_path: Path) -> None:
    path = plan_with(live, tmp_path, zone="Africa/Lagos")
    said = evidence(path, WHERE)
    assert "19 of the latest" in said
    assert re.search(r"s\.created_by is null: 0 and \d+ of 104", said)
    assert re.search(r"s\.created_by = '00000000-0000-4000-8000-0000000000a1': \d+ and 0 of", said)
    assert "s.title = 'Walk-in': 19 and 0 of 19" in said


# ----------------------------------------------------------------------------------------------------------------------
# The answers
# ----------------------------------------------------------------------------------------------------------------------


@lagos
def test_plan_without_the_answer_is_refused(app: App, found: Found, live: str, tmp_path: Path) -> None:
    path = plan_with(live, tmp_path, zone="Africa/Lagos")
    refused = bookingdb(live, "adopt", "--apply", path)
    assert refused.exit_code == 1
    assert f"only a person can answer {AS_UTC}" in refused.output
    assert schema_dump(live) == found.dump
    assert rows(live) == found.rows


@lagos
def test_shifted_sessions_cannot_be_booked_twice(app: App, found: Found, live: str, tmp_path: Path) -> None:
    before = schedules(live, app.zone)
    done(live, "adopt", "--apply", plan_with(live, tmp_path, zone="Africa/Lagos", times__wall_clock_as_utc="shift"))

    after = schedules(live, app.zone)
    for id_, (scheduled, start, end) in after.items():
        if id_ in (session("23"), session("25")):
            assert (scheduled, start, end) == before[id_]
        else:
            assert scheduled == start == before[id_][0]
            assert end - start == before[id_][2] - before[id_][1]
    assert "1 active session(s) to come" in reported(live)[0]
    assert str(session("23")) in reported(live)[0]
    with server_of(live) as caller, connect(live) as owner:
        live_slots = run(
            owner, "select s.therapist_id, s.scheduled_date, s.scheduled_time from public.sessions as s"
            " where s.start_time > now() and s.status = 'scheduled' and s.id <> %s", session("23"),
        )  # fmt: skip
        assert len(live_slots) > 20
        for therapist, day, hour in live_slots:
            slot = {"p_session_date": str(day), "p_session_time": str(hour), "p_therapist_id": therapist}
            with pytest.raises(psycopg.Error, match="Booking conflict"):
                book(caller, app, app.free(), p_user_id=OTHER_CLIENT, **slot)
        assert violations(owner) == []
        with pytest.raises(psycopg.Error) as refused:
            run(
                owner, "insert into public.sessions (user_id, therapist_id, scheduled_date, scheduled_time, start_time,"
                " end_time) select %s, %s, d.day, '20:00', (d.day + time '20:00') at time zone 'UTC',"
                " (d.day + time '21:00') at time zone 'UTC' from (select current_date + 200 as day) as d",
                OTHER_CLIENT, THERAPIST,
            )  # fmt: skip
        assert "invalid_parameter" in str(refused.value) + str(refused.value.diag.message_detail)
    assert_undone(live, found)


@lagos
def test_rewritten_sessions_keep_their_instant(app: App, found: Found, live: str, tmp_path: Path) -> None:
    before = schedules(live, app.zone)
    done(live, "adopt", "--apply", plan_with(live, tmp_path, zone="Africa/Lagos", times__wall_clock_as_utc="rewrite"))
    after = schedules(live, app.zone)
    assert {id_: times[1:] for id_, times in before.items()} == {id_: times[1:] for id_, times in after.items()}
    odd = (session("23"), session("25"))
    assert all(scheduled == start for id_, (scheduled, start, _) in after.items() if id_ not in odd)
    with connect(live) as owner:
        assert violations(owner) == []
    assert_undone(live, found)


@lagos
def test_kept_sessions_are_reported_until_put_right(app: App, found: Found, live: str, tmp_path: Path) -> None:
    before = schedules(live, app.zone)
    applied = done(live, "adopt", "--apply", plan_with(live, tmp_path, zone=app.zone, times__wall_clock_as_utc="keep"))
    assert "active session(s) to come whose scheduled date and time is not their start_time" in applied.output
    assert schedules(live, app.zone) == before
    with connect(live) as owner:
        to_come = "from public.sessions where start_time > now() and status = 'scheduled'"
        count = scalar(owner, f"select count(*) {to_come}")
        assert f"has {count} active session(s) to come" in reported(live)[0]
        assert bookingdb(live, "verify").exit_code == 1
        # Half of them by each of the two statements that the finding names.
        run(
            owner,
            "update public.sessions set scheduled_date = (start_time at time zone 'Africa/Lagos')::date,"
            " scheduled_time = (start_time at time zone 'Africa/Lagos')::time"
            " where start_time > now() and therapist_id = %s",
            THERAPIST,
        )
        run(
            owner,
            "update public.sessions set start_time = (scheduled_date + scheduled_time) at time zone 'Africa/Lagos',"
            " end_time = (scheduled_date + scheduled_time + interval '1 hour') at time zone 'Africa/Lagos'"
            " where start_time > now() and therapist_id = %s",
            OTHER_THERAPIST,
        )
        assert reported(live) == []
        assert is_sound(app, live)
        assert violations(owner) == []


@with_faults("wall_clock_new_york")
def test_end_that_is_right_already_is_not_shifted(app: App, found: Found, live: str, tmp_path: Path) -> None:
    path = plan_with(live, tmp_path, zone="America/New_York", times__wall_clock_as_utc="shift")
    done(live, "adopt", "--apply", path)
    after = schedules(live, app.zone)
    assert all(scheduled == start for scheduled, start, _ in after.values())
    assert {(end - start).total_seconds() for _, start, end in after.values()} == {3600}
    with connect(live) as owner:
        assert violations(owner) == []
    assert is_sound(app, live)
    assert_undone(live, found)


# ----------------------------------------------------------------------------------------------------------------------
# Two families
# ----------------------------------------------------------------------------------------------------------------------


@families
def test_condition_chooses_which_sessions_are_shifted(app: App, found: Found, live: str, tmp_path: Path) -> None:
    before = schedules(live, app.zone)
    answers = {AS_UTC: "shift", WHERE: "s.created_by is null -- the site's"}
    path = plan_with(live, tmp_path, zone="Africa/Lagos", **answers)
    assert read(path)["answers"][OTHERS] == ""
    assert "300000000999: scheduled" in evidence(path, OTHERS)
    assert classes(path)[AS_UTC] == 104
    assert classes(path)[OTHERS] == 20
    refused = bookingdb(live, "adopt", "--apply", path)
    assert refused.exit_code == 1
    assert f"only a person can answer {OTHERS}" in refused.output

    path = plan_with(live, tmp_path, zone="Africa/Lagos", **answers, **{OTHERS: "rewrite"})
    done(live, "adopt", "--apply", path)

    after = schedules(live, app.zone)
    assert all(scheduled == start for scheduled, start, _ in after.values())
    for id_, (scheduled, start, end) in after.items():
        is_walk_in = "-8000-3" in str(id_)
        assert (start, end) == before[id_][1:] if is_walk_in else scheduled == before[id_][0], id_
    assert is_sound(app, live)
    with connect(live) as owner:
        assert violations(owner) == []
    assert_undone(live, found)


@families
@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ("s.nothing = 1", "column s.nothing does not exist"),
        ("s.created_by =", "syntax error"),
        ("count(*) > 1", "aggregate functions are not allowed"),
        ("1 / (s.duration_minutes - 60) > 0", "division by zero"),
        ("random() < 0.5", "random may answer otherwise each time"),
        ("set_config('app.a', s.title, false) = s.title", "set_config may answer"),
        ("pg_backend_pid() % 2 = 0", "pg_backend_pid may answer"),
        ("(select count(*) from public.users tablesample system (50)) > 3", "system may answer"),
        (
            "exists (select from generate_series(1, 2) as g where clock_timestamp() > s.start_time)",
            "clock_timestamp may",
        ),
        ("true); drop table public.sessions; select (1", "cannot insert multiple commands"),
    ],
)
def test_condition_that_postgres_refuses_is_a_problem(
    app: App, found: Found, live: str, tmp_path: Path, condition: str, reason: str
) -> None:
    path = plan_with(live, tmp_path, zone="Africa/Lagos", **{AS_UTC: "shift", WHERE: condition})
    (problem,) = read(path)["problems"]
    assert WHERE in problem
    assert condition in problem
    assert reason in problem
    assert bookingdb(live, "adopt", "--apply", path).exit_code == 1
    assert rows(live) == found.rows


@families
def test_condition_may_call_stable_functions(app: App, live: str, tmp_path: Path) -> None:
    condition = (
        "s.title ~ 'random()' or to_char(s.created_at, 'YYYY') <= '2999' and coalesce(lower(s.title), '') <> 'a'"
    )
    path = plan_with(live, tmp_path, zone="Africa/Lagos", **{AS_UTC: "shift", WHERE: condition})
    assert read(path)["problems"] == []


@with_faults("wall_clock_timestamps")
def test_condition_is_asked_of_rows_as_they_were_found(app: App, found: Found, live: str, tmp_path: Path) -> None:
    """When rows are repaired, these columns are timestamps with a zone."""
    path = plan_with(
        live, tmp_path, zone="Africa/Lagos", zone__timestamps="UTC", times__wall_clock_as_utc="shift",
        times__wall_clock_as_utc__where="pg_typeof(s.start_time)::text = 'timestamp without time zone'"
        " and s.start_time::time = '09:00'",
        times__wall_clock_as_utc__others="keep",
    )  # fmt: skip
    done(live, "adopt", "--apply", path)
    after = schedules(live, app.zone)
    shifted = {scheduled.hour for scheduled, start, _ in after.values() if scheduled == start}
    kept = {scheduled.hour for scheduled, start, _ in after.values() if scheduled != start}
    assert (shifted, kept) == ({9}, {14})
    assert_undone(live, found)


# ----------------------------------------------------------------------------------------------------------------------
# No scheduled time
# ----------------------------------------------------------------------------------------------------------------------


def starts(url: str) -> dict[Any, tuple[Any, Any]]:
    """By session: start and end as the clock of UTC has them."""
    query = "select id, start_time at time zone 'UTC', end_time at time zone 'UTC' from public.sessions"
    with connect(url) as connection:
        return {id_: (start, end) for id_, start, end in run(connection, query)}


@unscheduled
def test_starts_without_a_scheduled_time_are_asked_about(app: App, found: Found, live: str, tmp_path: Path) -> None:
    path = open_plan(live, tmp_path, zone="Africa/Lagos")
    said = evidence(path, UNSCHEDULED)
    with connect(live) as owner:
        to_come = scalar(owner, "select count(*) from public.sessions where start_time > now()")
    assert f"121 sessions have a start_time and no scheduled date and time to compare it with, {to_come} of" in said
    assert "v_start timestamptz := (p_session_date + p_session_time) at time zone 'UTC'" in said
    assert "as they stand from 10 to 15 o'clock in Africa/Lagos (10: 61, 15: 60)" in said
    assert "shifted from 09 to 14 o'clock (09: 61, 14: 60)" in said
    assert said.count('"shift" makes it') == 2
    refused = bookingdb(live, "adopt", "--apply", path)
    assert refused.exit_code == 1
    assert f"only a person can answer {UNSCHEDULED}" in refused.output
    assert rows(live) == found.rows


@unscheduled
@pytest.mark.parametrize("prepared", [False, True])
def test_shifted_starts_cannot_be_booked_twice(
    app: App, found: Found, live: str, tmp_path: Path, prepared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if prepared:
        monkeypatch.setattr(prepare, "MANY", 0)
    before = starts(live)
    path = plan_with(live, tmp_path, zone="Africa/Lagos", times__unscheduled="shift")
    assert classes(path)[UNSCHEDULED] == 121
    assert classes(path)["rows.overlapping.therapist"] == 1
    done(live, "adopt", "--apply", path)
    hour = dt.timedelta(hours=1)
    assert starts(live) == {id_: (start - hour, end - hour) for id_, (start, end) in before.items()}
    with server_of(live) as caller, connect(live) as owner:
        taken = run(
            owner, "select s.therapist_id, s.start_time at time zone 'UTC' from public.sessions as s"
            " where s.start_time > now() + interval '1 day' and s.status = 'scheduled' and s.id::text !~ '-2'",
        )  # fmt: skip
        assert len(taken) > 20
        for therapist, start in taken:
            wall = start + hour
            slot = {"p_session_date": str(wall.date()), "p_session_time": str(wall.time()), "p_therapist_id": therapist}
            with pytest.raises(psycopg.Error, match="Booking conflict"):
                book(caller, app, app.free(), p_user_id=OTHER_CLIENT, **slot)
        assert violations(owner) == []
    assert_undone(live, found)


@unscheduled
def test_kept_starts_stay(app: App, found: Found, live: str, tmp_path: Path) -> None:
    before = starts(live)
    path = plan_with(live, tmp_path, zone="Africa/Lagos", times__unscheduled="keep")
    assert UNSCHEDULED not in classes(path)
    done(live, "adopt", "--apply", path)
    assert starts(live) == before
    assert_undone(live, found)


@unscheduled
@pytest.mark.parametrize("zone", ["UTC", "Africa/Accra"])
def test_starts_in_the_clocks_of_utc_are_not_asked_about(app: App, live: str, tmp_path: Path, zone: str) -> None:
    path = open_plan(live, tmp_path, zone=zone)
    assert UNSCHEDULED not in read(path)["answers"]


# ----------------------------------------------------------------------------------------------------------------------
# Undo after use
# ----------------------------------------------------------------------------------------------------------------------


@lagos
def test_undo_says_how_later_sessions_are_to_be_read(app: App, live: str, tmp_path: Path) -> None:
    done(live, "adopt", "--apply", plan_with(live, tmp_path, zone="Africa/Lagos", times__wall_clock_as_utc="shift"))
    with server_of(live) as caller:
        book(caller, app, app.free(), p_user_id=OTHER_CLIENT)
        book(caller, app, app.free(hour=16), p_user_id=OTHER_CLIENT)
    said = " ".join(done(live, "adopt", "--undo").output.split())
    assert "2 session(s) were made or changed since the adoption and stay as they are" in said
    assert "an instant, and the right one in Africa/Lagos" in said
