"""Two clients who become one, and one who logs in with another id."""

from __future__ import annotations

import json
import time
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support import TOMORROW, World, run
from tests.support.callers import logged_in
from tests.support.databases import on_todays_supabase
from tests.support.life import UNKNOWN, at, begin, request_session
from tests.support.refusals import nothing_written, refused

ENTRIES = "select user_id, kind, amount, balance_after from bookingdb.ledger where lot_id = %s order by id"


@pytest.fixture
def two(world: World) -> tuple[UUID, UUID, UUID]:
    """A client with a session, another one, and a therapist."""
    first, second, therapist = world.client(credits=3), world.client(credits=2), world.therapist()
    world.book(first, therapist)
    return first, second, therapist


def merge(world: World, first: UUID, second: UUID, reason: str | None = "registered twice") -> dict[str, Any]:
    (row,) = world.run("select * from merge_clients(%s, %s, %s)", first, second, reason)
    assert world.violations() == []
    return dict(zip(("user_id", "sessions", "credits", "credits_balance"), row, strict=True))


def person(world: World, who: UUID) -> Any:
    return world.run("select email, full_name, is_active from users where id = %s", who)[0]


def events(world: World, event: str) -> list[Any]:
    found = world.run("select subject_id, payload from bookingdb.outbox where event = %s order by id", event)
    return [(subject, {key: str(value) for key, value in payload.items()}) for subject, payload in found]


def test_sessions_and_credits_pass_on(world: World, two: tuple[UUID, UUID, UUID]) -> None:
    first, second, therapist = two
    world.run("update users set full_name = 'Ada' where id = %s", first)
    (lot,) = world.run("select id from user_credits where user_id = %s", first)[0]

    assert merge(world, first, second) == {"user_id": second, "sessions": 1, "credits": 2, "credits_balance": 4}

    assert world.run("select user_id, therapist_id, status from sessions") == [(second, therapist, "scheduled")]
    assert world.run("select client_id from bookingdb.calendar") == [(second,)]
    assert world.run(ENTRIES, lot) == [
        (first, "grant", 3, 3), (first, "debit", -1, 2), (first, "transfer", -2, 0), (second, "transfer", 2, 2),
    ]  # fmt: skip
    assert (world.balance(first), world.balance(second)) == (0, 4)
    assert person(world, first) == (None, None, False)
    assert world.run("select from_user_id, into_user_id, kind, reason from bookingdb.merged_people") == [
        (first, second, "merge", "registered twice")
    ]
    with refused("user_not_found"):
        world.book(first, therapist, "12:00")


def test_events_tell_of_both_clients_and_hold_no_words(world: World, two: tuple[UUID, UUID, UUID]) -> None:
    first, second, _ = two
    merge(world, first, second)
    ((subject, payload),) = events(world, "person.merged")
    assert (subject, payload) == (
        second,
        {"user_id": str(second), "old_user_id": str(first), "kind": "merge", "sessions": "1", "credits": "2"},
    )
    ((_, updated),) = events(world, "session.updated")
    assert (updated["old_user_id"], updated["user_id"]) == (str(first), str(second))
    assert [payload["amount"] for _, payload in events(world, "credits.transferred")] == ["-2", "2"]
    audited = "select changes from booking_audit_log where action = 'updated'"
    assert world.scalar(audited) == {"user_id": {"old": str(first), "new": str(second)}}


def test_repeating_is_harmless_and_takes_along_what_came_since(world: World, two: tuple[UUID, UUID, UUID]) -> None:
    first, second, _ = two
    merge(world, first, second)
    with nothing_written(world):
        assert merge(world, first, second) == {"user_id": second, "sessions": 0, "credits": 0, "credits_balance": 4}

    world.run("insert into user_credits (user_id, credits_balance) values (%s, 5)", first)
    assert merge(world, first, second)["credits_balance"] == 9
    assert len(events(world, "person.merged")) == 2


def test_credit_comes_back_to_the_client_of_today(world: World, two: tuple[UUID, UUID, UUID]) -> None:
    first, second, therapist = two
    session = world.scalar("select id from sessions")
    late = world.book(second, therapist, "14:00")["id"]
    merge(world, first, second)
    world.run("select cancel_session(%s, 'gone')", session)
    world.run("select cancel_session(%s, 'gone')", late)
    assert world.balance(second) == 5
    assert world.violations() == []


def test_chargeback_finds_a_lot_that_passed_on(world: World, two: tuple[UUID, UUID, UUID]) -> None:
    first, second, therapist = two
    world.run("select grant_credits(%s, 5, 'pi_1')", first)
    merge(world, first, second)
    for time_of_day in ("12:00", "14:00", "16:00"):
        world.book(second, therapist, time_of_day)
    world.run("select revoke_grant(p_payment_reference => 'pi_1')")
    assert world.violations() == []
    # 3 + 2 + 5 less four sessions, less what was left of the five.
    assert world.balance(second) == 10 - 4 - world.scalar(
        "select -coalesce(sum(amount), 0) from bookingdb.ledger where kind = 'revocation'"
    )


def test_empty_expired_and_revoked_lots_pass_on_without_entries(world: World) -> None:
    first, second = world.client(credits=2), world.client()
    world.run("select grant_credits(%s, 1, 'pi_2')", first)
    world.run("select revoke_grant(p_payment_reference => 'pi_2')")
    world.run("select adjust_credits(%s, -2, 'none left')", first)
    entries = world.count("bookingdb.ledger")
    assert merge(world, first, second)["credits"] == 0
    assert world.run("select distinct user_id from user_credits") == [(second,)]
    assert world.count("bookingdb.ledger") == entries


def test_sessions_at_the_same_time_are_refused(world: World, two: tuple[UUID, UUID, UUID]) -> None:
    first, second, therapist = two
    session = world.scalar("select id from sessions")
    other = world.book(second, world.therapist(), "10:30")["id"]
    with nothing_written(world), refused("client_conflict") as refusal:
        world.run("select merge_clients(%s, %s)", first, second)
    assert refusal.detail["session_id"] == str(session)
    assert refusal.detail["other_session_id"] == str(other)
    assert refusal.detail["therapist_id"] == str(therapist)

    world.run("select cancel_session(%s, 'twice')", other)
    merge(world, first, second)


def test_sessions_that_are_over_may_overlap(world: World) -> None:
    first, second = world.client(credits=1), world.client(credits=1)
    for who in (first, second):
        begin(world.connection, world.book(who, world.therapist())["id"], 300)
    assert merge(world, first, second)["sessions"] == 1
    assert world.run("select distinct user_id from sessions") == [(second,)]


@pytest.mark.parametrize("overlapping", [True, False])
def test_live_holds_are_released(world: World, two: tuple[UUID, UUID, UUID], overlapping: bool) -> None:
    first, second, therapist = two
    hold = "select id from hold_slot(%s, %s, %s, %s)"
    mine = world.scalar(hold, first, therapist, TOMORROW, "18:00")
    theirs = world.scalar(hold, second, world.therapist(), TOMORROW, "10:30" if overlapping else "20:00")
    merge(world, first, second)
    released = {who for (who,) in world.run("select id from bookingdb.holds where released_at is not null")}
    assert released == ({mine, theirs} if overlapping else {mine})
    assert {subject for subject, _ in events(world, "hold.released")} == released
    with refused("hold_expired"):
        world.run("select book_hold(%s)", mine)
    assert set(world.run("select user_id from bookingdb.holds")) == {(second,)}


def test_requests_that_waited_too_long_lapse_first(world: World) -> None:
    first, second = world.client(), world.client()
    mine, _ = (request_session(world.connection, who, world.therapist(), at(10)) for who in (first, second))
    world.run("update sessions set approval_until = clock_timestamp() + interval '0.2 s'")
    with nothing_written(world), refused("client_conflict"):
        world.run("select merge_clients(%s, %s)", first, second)
    # A request lapses by the clock.
    time.sleep(0.25)
    merge(world, first, second)
    assert world.run("select distinct status, user_id from sessions") == [("cancelled", second)]
    assert world.scalar("select count(*) from booking_audit_log where session_id = %s and actor = 'bookingdb'", mine)


def test_earlier_idempotency_keys_still_answer(world: World) -> None:
    first, second, therapist = world.client(credits=5), world.client(), world.therapist()
    booked = world.book(first, therapist, idempotency_key="booked")
    granted = world.run("select * from grant_credits(%s, 2, 'pi_3', p_idempotency_key => 'granted')", first)
    held = "select id from hold_slot(%s, %s, %s, '18:00', p_idempotency_key => 'held')"
    hold = world.scalar(held, first, therapist, TOMORROW)
    from_hold = world.scalar("select id from book_hold(%s, p_idempotency_key => 'from hold')", hold)
    series = "select id from book_series(%s, %s, %s, '20:00', 2, p_idempotency_key => 'series')"
    sessions = world.run(series, first, therapist, TOMORROW)
    cancel = "select id, status, credits_balance from cancel_session(%s, 'gone', null, 'cancelled')"
    cancelled = world.run(cancel, booked["id"])

    merge(world, first, second)
    with nothing_written(world):
        assert world.book(first, therapist, idempotency_key="booked")["id"] == booked["id"]
        again = world.run("select * from grant_credits(%s, 2, 'pi_3', p_idempotency_key => 'granted')", first)
        assert again[0][0] == granted[0][0]
        assert world.run("select lot_id from grant_credits(%s, 2, 'pi_3')", first)[0][0] == granted[0][0]
        assert world.scalar(held, first, therapist, TOMORROW) == hold
        assert world.scalar("select id from book_hold(%s, p_idempotency_key => 'from hold')", hold) == from_hold
        assert world.run(series, first, therapist, TOMORROW) == sessions
        assert world.run(cancel, booked["id"]) == cancelled
    assert world.violations() == []


KEYED = {
    "create_session_with_credit_deduction": "%(who)s, %(therapist)s, %(date)s, '10:00', p_idempotency_key => 'k'",
    "book_series": "%(who)s, %(therapist)s, %(date)s, '12:00', 2, p_idempotency_key => 'k'",
    "hold_slot": "%(who)s, %(therapist)s, %(date)s, '18:00', p_idempotency_key => 'k'",
    "book_hold": "%(hold)s, p_idempotency_key => 'k'",
    "cancel_session": "%(session)s, p_idempotency_key => 'k'",
    "reschedule_session": "%(other)s, %(date)s, '16:00', p_idempotency_key => 'k'",
}


def test_old_login_gets_no_earlier_answer(world: World) -> None:
    first, second, therapist = world.client(credits=9), world.client(), world.therapist()
    values: dict[str, Any] = {"who": first, "therapist": therapist, "date": TOMORROW}
    values["session"] = world.book(first, therapist, "20:00")["id"]
    values["other"] = world.book(first, therapist, "22:00")["id"]
    values["hold"] = world.scalar("select id from hold_slot(%s, %s, %s, '08:00')", first, therapist, TOMORROW)
    calls = {name: f"select id from {name}({arguments})".encode() for name, arguments in KEYED.items()}

    texts: dict[str, str] = {}

    def answers(who: UUID | None) -> dict[str, Any]:
        found = {}
        for name, call in calls.items():
            with world.connection.transaction():
                if who is not None:
                    world.run("select act_as(%s)", who)
                try:
                    found[name] = world.connection.execute(call, values).fetchall()
                except psycopg.Error as error:
                    texts[name] = f"{error.diag.message_detail} {error.diag.message_hint}"
                    found[name] = json.loads(error.diag.message_detail or "")["code"]
                    raise psycopg.Rollback from error
        return found

    before = answers(first)
    merge(world, first, second)
    assert answers(first) == {
        "create_session_with_credit_deduction": "user_not_found", "book_series": "user_not_found",
        "hold_slot": "user_not_found", "book_hold": "not_allowed", "cancel_session": "not_allowed",
        "reschedule_session": "not_allowed",
    }  # fmt: skip
    assert [name for name, text in texts.items() if str(second) in text] == []
    assert answers(None) == before
    with nothing_written(world), world.connection.transaction():
        # A key that is new gets no other answer.
        world.run("select act_as(%s)", first)
        with refused("user_not_found"), world.connection.transaction():
            world.book(first, therapist, "16:00", idempotency_key="new")


def test_merged_client_is_nobody_any_more(world: World, two: tuple[UUID, UUID, UUID]) -> None:
    first, second, _ = two
    merge(world, first, second)
    for call in ("change_email(%s, 'x@y.example')", "change_email(%s, null)", "set_client_active(%s, true)"):
        with nothing_written(world), refused("invalid_parameter") as refusal:
            world.run(f"select {call}", first)
        assert (refusal.detail["reason"], refusal.detail["user_id"]) == ("merged", str(second))
        assert "DETAIL" in (refusal.hint or "")
    world.run("select set_client_active(%s, false)", first)


@on_todays_supabase
def test_old_login_takes_no_address_and_learns_of_nobody(hosted_world: World) -> None:
    world, email = hosted_world, "ada@example.com"
    first, second = world.scalar("select register_client(%s, 'Ada')", email), world.client()
    merge(world, first, second)
    with logged_in(world, first, email=email) as connection, refused("invalid_parameter") as refusal:
        run(connection, "select change_email(%s, %s)", first, email)
    assert refusal.detail == {"code": "invalid_parameter", "parameter": "p_user_id", "reason": "merged"}
    assert "DETAIL" not in (refusal.hint or "")
    assert person(world, first) == (None, None, False)


def test_people_who_cannot_be_merged_are_refused(world: World) -> None:
    first, second, third, therapist = world.client(), world.client(), world.client(), world.therapist()
    closed = world.client()
    world.run("select set_client_active(%s, false)", closed)
    merge(world, third, second)
    wrong: list[tuple[Any, Any, str, str | None, str | None]] = [
        (None, second, "invalid_user_id", None, None),
        (first, None, "invalid_user_id", None, None),
        (first, first, "invalid_parameter", "p_into_user_id", "same_person"),
        (first, therapist, "invalid_parameter", "p_into_user_id", "of_another_kind"),
        (therapist, first, "invalid_parameter", "p_from_user_id", "of_another_kind"),
        (first, UNKNOWN, "user_not_found", None, None),
        (UNKNOWN, first, "user_not_found", None, None),
        (first, closed, "person_inactive", None, None),
        (third, first, "invalid_parameter", "p_from_user_id", "merged"),
        (first, third, "invalid_parameter", "p_into_user_id", "merged"),
        (second, third, "invalid_parameter", "p_into_user_id", "merged"),
    ]
    for one, other, code, parameter, reason in wrong:
        with nothing_written(world), refused(code) as refusal:
            world.run("select merge_clients(%s, %s)", one, other)
        assert (refusal.detail.get("parameter"), refusal.detail.get("reason")) == (parameter, reason), (one, other)
    with nothing_written(world), refused("invalid_parameter"):
        world.run("select merge_clients(%s, %s, %s)", first, second, "x" * 1001)
    # A closed client becomes an active one, and another one after that.
    merge(world, closed, first)
    merge(world, first, second)
    assert world.scalar("select bookingdb.merged_into(%s)", closed) == second


def test_refusals_pass_on(world: World, two: tuple[UUID, UUID, UUID]) -> None:
    first, second, therapist = two
    world.run("select set_policy(%s)", Jsonb({"record_refusals": True}))
    world.run("select record_refusal('hold_slot', 'too_soon', %s, %s, '{}')", first, therapist)
    merge(world, first, second)
    assert len(world.run("select * from list_refusals(%s)", second)) == 1


def test_address_that_may_not_be_null_becomes_nobodys(world: World, two: tuple[UUID, UUID, UUID]) -> None:
    first, second, _ = two
    world.run("update users set full_name = 'Somebody', email = coalesce(email, id || '@example.com')")
    world.run("alter table users alter column email set not null, alter column full_name set not null")
    try:
        merge(world, first, second)
        assert person(world, first) == (f"{first}@merged.invalid", "", False)
        new = uuid4()
        world.run("select change_login(%s, %s)", second, new)
        assert person(world, new) == (f"{second}@example.com", "Somebody", True) or person(world, new)[2]
    finally:
        world.run("alter table users alter column email drop not null, alter column full_name drop not null")


# ----------------------------------------------------------------------------------------------------------------------
# Another login
# ----------------------------------------------------------------------------------------------------------------------


@on_todays_supabase
def test_account_made_anew_gets_what_the_old_one_had(hosted_world: World) -> None:
    world, new = hosted_world, uuid4()
    old = world.scalar("select register_client('ada@example.com', 'Ada')")
    world.run("select grant_credits(%s, 3)", old)
    world.book(old, world.therapist())
    with logged_in(world, new, email="ada@example.com") as connection, refused("invalid_parameter") as refusal:
        run(connection, "select register_client('ada@example.com', null, %s)", new)
    assert refusal.detail == {"code": "invalid_parameter", "parameter": "p_email", "reason": "of_another"}
    assert "change_login()" in (refusal.hint or "")
    with refused("invalid_parameter") as refusal:
        world.run("select register_client('ada@example.com', null, %s)", new)
    assert refusal.detail["user_id"] == str(old)

    answer = world.run("select * from change_login(%s, %s)", old, new)
    assert answer == [(new, 1, 2, 2)]
    assert person(world, new) == ("ada@example.com", "Ada", True)
    assert person(world, old) == (None, None, False)
    with nothing_written(world):
        assert world.run("select * from change_login(%s, %s)", old, new) == [(new, 0, 0, 2)]
    with logged_in(world, new, email="ada@example.com") as connection:
        assert run(connection, "select register_client('ada@example.com', null, %s)", new) == [(new,)]
        assert run(connection, "select count(*) from list_sessions()") == [(1,)]
        book = "select create_session_with_credit_deduction(%s, %s, %s, '16:00')"
        run(connection, book, new, world.therapist(), TOMORROW)
    with logged_in(world, old, email="ada@example.com") as connection, refused("person_inactive"):
        run(connection, "select register_client('ada@example.com', null, %s)", old)
    assert world.violations() == []


def test_new_login_keeps_an_address_of_its_own(world: World) -> None:
    old = world.scalar("select register_client('old@example.com', 'Ada')")
    new = world.scalar("select register_client('new@example.com')")
    world.run("select change_login(%s, %s)", old, new)
    assert person(world, new) == ("new@example.com", "Ada", True)
    assert world.scalar("select register_client('old@example.com')") not in (old, new)


def test_a_closed_client_stays_closed_under_another_login(world: World) -> None:
    old, new = world.client(), uuid4()
    world.run("select set_client_active(%s, false)", old)
    world.run("select change_login(%s, %s)", old, new)
    assert person(world, new)[2] is False


def test_people_who_cannot_have_another_login_are_refused(world: World) -> None:
    client, therapist = world.client(), world.therapist()
    wrong: list[tuple[Any, Any, str, str | None]] = [
        (None, uuid4(), "invalid_user_id", None),
        (client, None, "invalid_user_id", None),
        (client, client, "invalid_parameter", "p_new_user_id"),
        (client, therapist, "invalid_parameter", "p_new_user_id"),
        (therapist, uuid4(), "invalid_parameter", "p_user_id"),
        (UNKNOWN, uuid4(), "user_not_found", None),
    ]
    for who, new, code, parameter in wrong:
        with nothing_written(world), refused(code) as refusal:
            world.run("select change_login(%s, %s)", who, new)
        assert refusal.detail.get("parameter") == parameter
