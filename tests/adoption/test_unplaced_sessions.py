"""Sessions that could not be given a place in the calendar."""

from __future__ import annotations

import datetime as dt
import json
import re
from uuid import uuid4

import psycopg
import pytest

from tests.apps import (
    CLIENT,
    OTHER_CLIENT,
    OTHER_THERAPIST,
    App,
    book,
    session,
)
from tests.support import Connection, run
from tests.support.adoption import (
    ACTIVE,
    occupied,
    run_named,
    some_apps,
    violations,
)
from tests.support.commands import answer, done


def test_only_sessions_without_a_place_are_reported(read_url: str, reader: Connection) -> None:
    unplaced = {
        str(id_)
        for (id_,) in run(
            reader,
            "select s.id from public.sessions as s where s.status = any (%s)"
            " and not exists (select from bookingdb.calendar as c where c.id = s.id and c.kind = 'session')",
            list(ACTIVE),
        )
    }
    report = answer(read_url, "adopt", "--report")
    text = done(read_url, "adopt", "--report").stdout
    listed = set(re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", json.dumps(report["unplaced"])))
    assert listed & {str(id_) for (id_,) in run(reader, "select id from public.sessions")} == unplaced
    assert all(id_ in text for id_ in unplaced)


@some_apps("clean")
def test_in_a_sound_database_every_session_has_its_place(app: App, read_url: str) -> None:
    assert not answer(read_url, "adopt", "--report")["unplaced"]


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
def test_times_in_utc_are_kept_or_shifted_as_the_owner_says(app: App, reader: Connection) -> None:
    shifted = app.answers["times.wall_clock_as_utc"] == "shift"
    ((old_site, new_app),) = run(
        reader,
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
    assert all(occupied(reader, session(number)) for number in apart)
    assert [bool(occupied(reader, session(number))) for number in sorted(together)] == [True, False]
