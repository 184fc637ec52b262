"""Everything that the old booking function did besides booking: named in the plan, and done where it is kept."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from bookingdb.adoption.plpgsql_statements import calls, statements, written_table
from tests.apps import CLIENT, FAULTS, THERAPIST, App, book
from tests.support import connect, run
from tests.support.adoption import make_again, make_plan, violations, with_answers
from tests.support.commands import bookingdb, done

APP = FAULTS["notified"]
WEB_HOOK = (
    "select net.http_post(url => 'https://video.example/rooms', body => jsonb_build_object('session', $1 -> 'id'))"
    " where $1 ->> 'session_type' = 'video'"
)


@pytest.fixture
def app() -> App:
    return APP


def plan_of(url: str, folder: Path) -> tuple[Path, dict[str, Any], str]:
    path = make_plan(APP, url, folder)
    text = path.read_text(encoding="utf-8")
    return path, tomllib.loads(text), " ".join(text.replace("\n#", " ").split())


def answer(url: str, path: Path, **answers: str) -> None:
    """Write answers, by their keys without `notification.`, into a plan; and have it made again."""
    text = with_answers(
        path.read_text(encoding="utf-8"), {f"notification.{key}": each for key, each in answers.items()}
    )
    path.write_text(text, encoding="utf-8")
    make_again(url, path)


def test_plan_names_every_side_effect(live: str, tmp_path: Path) -> None:
    _, plan, text = plan_of(live, tmp_path)
    asked = {key: value for key, value in plan["answers"].items() if key.startswith("notification")}
    session = "($1 ->> 'id')::uuid"
    assert asked == {
        # What writes credits would take them twice.
        "notification.take_credit": "",
        "notification.log_event": "select public.log_event('booked: ' || case when ($1 ->> 'title') = 'x' then 'y'"
        f" else ($1 ->> 'title') end, jsonb_build_object('id', {session}))",
        "notification": f"select public.enqueue_notification(($1 ->> 'user_id')::uuid, 'client_booked', {session})",
        "notification.enqueue_notification.2": "select public.enqueue_notification(($1 ->> 'therapist_id')::uuid,"
        f" 'therapist; booked', {session})",
        "notification.reminders": "insert into public.reminders (session_id, send_at, template, note) values"
        f" ({session}, ($1 ->> 'start_time')::timestamp with time zone - interval '1 day', 'day (before)', null)",
        "notification.http_post": "",
        "notification.send_letter": "",
        "notification.pg_notify": f"select pg_notify('bookings', {session}::text)",
        "notification.update.users": "",
    }
    assert "Not known what these are, so they are null: v_label." in text
    assert "It ran only if p_session_type = 'video'." in text
    assert "It ran only if not (p_session_type = 'video')." in text
    assert "It writes user_credits, as bookingdb does itself" in text
    assert "perform check_hours(p_session_time), which writes nothing" in text
    assert "ran where something failed: perform log_event('failed', '{}')" in text


def test_conditional_call_waits_for_an_answer(live: str, tmp_path: Path) -> None:
    path = make_plan(APP, live, tmp_path)
    refused = bookingdb(live, "adopt", "--apply", path)
    assert refused.exit_code == 1
    assert "only a person can answer notification.http_post, notification.send_letter" in refused.stderr


def test_each_side_effect_happens_once_for_a_booking(live: str, tmp_path: Path) -> None:
    path = make_plan(APP, live, tmp_path)
    answer(live, path, http_post=WEB_HOOK, send_letter="none")
    done(live, "adopt", "--apply", path)
    with connect(live) as listener, connect(live) as connection:
        run(listener, "listen bookings")
        # One that fails takes no other one with it.
        run(connection, "alter table event_log add check (false) not valid")
        for hour, kind in ((10, "video"), (12, "phone")):
            book(connection, APP, APP.free(hour=hour), p_session_type=kind, p_title="it's")
        video, phone = (id_ for (id_,) in run(connection, "select id from sessions order by start_time"))
        expected = [
            (person, word, id_) for id_ in (video, phone)
            for person, word in ((CLIENT, "client_booked"), (THERAPIST, "therapist; booked"))
        ]  # fmt: skip
        assert run(connection, "select user_id, kind, session_id from notification_queue order by id") == expected
        reminders = "select r.session_id, s.start_time - r.send_at = interval '1 day', r.template from reminders as r"
        assert run(connection, f"{reminders} inner join sessions as s on s.id = r.session_id order by r.id") == [
            (id_, True, "day (before)") for id_ in (video, phone)
        ]
        assert run(connection, "select url, body ->> 'session' from net.requests") == [
            ("https://video.example/rooms", str(video))
        ]
        assert run(connection, "select count(*) from event_log") == [(0,)]
        assert run(connection, "select sum(credits_balance) from user_credits") == [(48,)]
        assert [note.payload for note in listener.notifies(timeout=5, stop_after=2)] == [str(video), str(phone)]
        assert violations(connection) == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("begin f(1); end", [("f(1)", ())]),
        ("if a then x; elsif b then y; else z; end if; w", [
            ("a", ()), ("x", ("a",)), ("y", ("b",)), ("z", ("not (b)",)), ("w", ()),
        ]),
        ("for r in select 1 loop perform f(r.a); end loop; x", [
            ("for r in select 1", ()), ("perform f(r.a)", ("in the loop for r in select 1",)), ("x", ()),
        ]),
        ("case a when 1 then x; else y; end case; z", [("x", ("1",)), ("y", ("not (1)",)), ("z", ())]),
        ("v := case when a then 1 else 2 end; x", [("v := case when a then 1 else 2 end", ()), ("x", ())]),
        ("if case when a then b else c end then x; end if", [
            ("case when a then b else c end", ()), ("x", ("case when a then b else c end",)),
        ]),
        ("begin x; exception when others then y; end; z", [("x", ()), ("y", ("something failed",)), ("z", ())]),
        ("begin begin x; end; if a then begin y; end; end if; end", [("x", ()), ("a", ()), ("y", ("a",))]),
        ("-- if a then\nx; /* end; */ y(';', $q$then;$q$)", [("x", ()), ("y(';', $q$then;$q$)", ())]),
    ],
)  # fmt: skip
def test_statement_has_the_conditions_around_it(body: str, expected: list[tuple[str, tuple[str, ...]]]) -> None:
    assert [(each.text, each.conditions) for each in statements(body)] == expected


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("perform a.f(g(1), 'h(2)')", ["a.f", "g"]),
        ("v := f ( 1 )", ["f"]),
        ('select "f"(1) into v', ["f"]),
        ("perform f($$g(1)$$)", ["f"]),
    ],
)
def test_calls_of_a_statement_are_found(text: str, names: list[str]) -> None:
    assert [each.name for each in calls(text)] == names


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("insert into public.queue (a) values (1)", ("insert", "queue")),
        ("with x as (select 1) insert into other.queue select 1", ("insert", "other.queue")),
        ("update only therapists set a = 1", ("update", "therapists")),
        ("delete from queue", ("delete", "queue")),
        ("select 'insert into queue'", None),
        ("perform f('update x')", None),
    ],
)
def test_written_table_of_a_statement_is_found(text: str, expected: tuple[str, str] | None) -> None:
    assert written_table(text) == expected
