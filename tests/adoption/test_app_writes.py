"""What the adopted app writes directly."""

from __future__ import annotations

import datetime as dt
import itertools
from uuid import uuid4

import psycopg
import pytest

from tests.apps import (
    CLIENT,
    OTHER_CLIENT,
    OTHER_THERAPIST,
    THERAPIST,
    App,
    book,
)
from tests.support import Connection, run, scalar
from tests.support.adoption import (
    ACTIVE,
    audited,
    balance,
    occupied,
    run_named,
    violations,
)


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
