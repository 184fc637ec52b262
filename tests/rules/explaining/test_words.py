"""The audit log has no words of people: it refers to where they can be erased."""

from __future__ import annotations

import json

from tests.support import World
from tests.support.direct_writes import rolled_back
from tests.support.life import call, rows


def test_audit_log_refers_to_words(world: World) -> None:
    session = world.book(world.client(credits=1), world.therapist())["id"]
    world.run("update sessions set title = 'About my mother', session_type = 'a secret kind'")
    world.run("update sessions set title = 'About my father'")
    call(world.connection, "cancel_session", session_id=session, reason="I am ill")

    logged = json.dumps(world.run("select changes from booking_audit_log order by entry"))
    assert not [word for word in ("mother", "father", "secret", "ill", "Therapy") if word in logged]
    steps = rows(world.connection, "explain_session", session_id=session)
    changes = [step["details"]["changes"] for step in steps if step["source"] == "audit"]
    assert changes[1] == {
        "title": {"old": "Therapy Session", "new": "About my mother"},
        "session_type": {"old": "video", "new": "a secret kind"},
    }
    assert changes[2] == {"title": {"old": "About my mother", "new": "About my father"}}
    assert changes[3]["cancellation_reason"] == {"old": None, "new": "I am ill"}
    # Words are kept once, with whose session it was.
    kept = world.run('select text, user_id from bookingdb.texts order by text collate "C"')
    client = world.scalar("select user_id from sessions")
    said = ["About my father", "About my mother", "I am ill", "Therapy Session", "a secret kind", "video"]
    assert kept == [(text, client) for text in said]


def test_words_of_an_applications_column_are_kept_apart(world: World) -> None:
    session = world.book(world.client(credits=1), world.therapist())["id"]
    with rolled_back(world):
        world.run("alter table sessions add column remarks text, add column answers jsonb, add column price integer")
        world.run("update sessions set remarks = 'a word', answers = '{\"pain\": \"strong\"}', price = 80")

        (changes,) = (row for (row,) in world.run("select changes from booking_audit_log where action = 'updated'"))
        assert changes["price"] == {"old": None, "new": 80}
        assert {key: list(value) for key, value in changes.items() if key != "price"} == {
            "remarks": ["new_text_id"], "answers": ["new_text_id"],
        }  # fmt: skip
        steps = rows(world.connection, "explain_session", session_id=session)
        (step,) = [step for step in steps if step["what"] == "updated"]
        assert step["details"]["changes"]["remarks"]["new"] == "a word"


def test_cancellation_without_a_reason_keeps_no_words(world: World) -> None:
    session = world.book(world.client(credits=1), world.therapist())["id"]
    call(world.connection, "cancel_session", session_id=session)
    assert world.run("select id from bookingdb.texts") == []
