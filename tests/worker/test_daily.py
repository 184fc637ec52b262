"""Video rooms: what the worker says to the service, and what becomes of it when the service fails."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from bookingdb import Bookings
from bookingdb.worker.daily import Daily, DailySender
from bookingdb.worker.http import HttpClient
from bookingdb.worker.senders import Environment
from bookingdb.worker.video import VideoError, token_to_join
from tests.support import World
from tests.support.claims import claimed
from tests.support.daily_server import DOMAIN, DailyServer, Fault, daily_server
from tests.support.life import begin, call, move
from tests.support.sending import make_due, send_all, set_destination

HTTP = HttpClient()
NAME = "00000000-0000-4000-8000-000000000001"
NOW = datetime.now(UTC).replace(microsecond=0)
OPENS, CLOSES = NOW + timedelta(days=1), NOW + timedelta(days=1, hours=2)
LATER = timedelta(days=1)
ADDRESS = f"{DOMAIN}/{NAME}"


@pytest.fixture
def service() -> Iterator[DailyServer]:
    with daily_server() as running:
        yield running


def daily(service: DailyServer, key: str = "daily-key", timeout: float = 5) -> Daily:
    return Daily(HTTP, key, api_url=service.url, allow_private=True, timeout=timeout)


def times(service: DailyServer) -> tuple[int, int]:
    config = service.rooms[NAME]["config"]
    return config["nbf"], config["exp"]


def seconds(*moments: datetime) -> tuple[int, ...]:
    return tuple(int(moment.timestamp()) for moment in moments)


# ----------------------------------------------------------------------------------------------------------------------
# Rooms
# ----------------------------------------------------------------------------------------------------------------------


def test_room_is_private_and_open_for_its_time(service: DailyServer) -> None:
    assert daily(service).ensure_room(NAME, OPENS, CLOSES) == ADDRESS
    assert (service.rooms[NAME]["privacy"], times(service)) == ("private", seconds(OPENS, CLOSES))
    assert service.calls() == ["GET rooms/:name", "POST rooms"]


def test_room_that_is_right_is_only_asked_for(service: DailyServer) -> None:
    daily(service).ensure_room(NAME, OPENS, CLOSES)
    service.calls()
    assert daily(service).ensure_room(NAME, OPENS, CLOSES) == ADDRESS
    assert service.calls() == ["GET rooms/:name"]


def test_room_moves_with_its_session(service: DailyServer) -> None:
    daily(service).ensure_room(NAME, OPENS, CLOSES)
    first = service.rooms[NAME]["id"]
    assert daily(service).ensure_room(NAME, OPENS + LATER, CLOSES + LATER) == ADDRESS
    assert (times(service), service.rooms[NAME]["id"]) == (seconds(OPENS + LATER, CLOSES + LATER), first)


def test_room_made_public_by_hand_is_private_again(service: DailyServer) -> None:
    daily(service).ensure_room(NAME, OPENS, CLOSES)
    service.rooms[NAME]["privacy"] = "public"
    daily(service).ensure_room(NAME, OPENS, CLOSES)
    assert service.rooms[NAME]["privacy"] == "private"


@pytest.mark.parametrize("is_shown", [True, False])
def test_expired_room_is_deleted_and_made_anew(service: DailyServer, is_shown: bool) -> None:
    service.shows_expired = is_shown
    daily(service).ensure_room(NAME, OPENS, CLOSES)
    first = service.rooms[NAME]["id"]
    service.expire(NAME)
    assert daily(service).ensure_room(NAME, OPENS + LATER, CLOSES + LATER) == ADDRESS
    assert times(service) == seconds(OPENS + LATER, CLOSES + LATER)
    assert service.rooms[NAME]["id"] != first


@pytest.mark.parametrize("how", ["lose", "lie"])
def test_lost_answer_is_cured_by_the_name(service: DailyServer, how: str) -> None:
    """The room was made, and nobody heard of it; the retry makes no second one and does not change it."""
    service.faults.append(Fault("lose" if how == "lose" else "lie", method="POST"))
    with pytest.raises(VideoError) as failure:
        daily(service).ensure_room(NAME, OPENS, CLOSES)
    assert not failure.value.is_final
    made = dict(service.rooms[NAME])
    service.calls()
    assert daily(service).ensure_room(NAME, OPENS, CLOSES) == ADDRESS
    assert service.rooms == {NAME: made}
    assert service.calls() == ["GET rooms/:name"]


def test_room_made_by_another_worker_is_kept(service: DailyServer) -> None:
    """It came into being between the question and the call."""
    first, second = daily(service), daily(service)
    first.ensure_room(NAME, OPENS, CLOSES)
    made = service.rooms[NAME]["id"]
    service.faults.append(Fault("refuse", 404, error="not-found", method="GET"))
    assert second.ensure_room(NAME, OPENS, CLOSES) == ADDRESS
    assert service.rooms[NAME]["id"] == made


def test_room_is_deleted_however_often(service: DailyServer) -> None:
    daily(service).ensure_room(NAME, OPENS, CLOSES)
    daily(service).delete_room(NAME)
    assert service.rooms == {}
    daily(service).delete_room(NAME)
    daily(service).ensure_room(NAME, OPENS, CLOSES)
    service.expire(NAME)
    daily(service).delete_room(NAME)
    assert service.rooms == {}


def test_lost_answer_of_a_deletion_does_no_harm(service: DailyServer) -> None:
    daily(service).ensure_room(NAME, OPENS, CLOSES)
    service.faults.append(Fault("lose", method="DELETE"))
    with pytest.raises(VideoError):
        daily(service).delete_room(NAME)
    daily(service).delete_room(NAME)
    assert service.rooms == {}


# ----------------------------------------------------------------------------------------------------------------------
# Failures
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "status", "word"), [("wrong", 401, "authentication-error"), (None, 403, "forbidden-error")]
)
def test_key_that_is_refused_is_final(service: DailyServer, key: str | None, status: int, word: str) -> None:
    with pytest.raises(VideoError) as failure:
        daily(service, key or service.forbidden_key).ensure_room(NAME, OPENS, CLOSES)
    assert (failure.value.is_final, failure.value.status_code) == (True, status)
    assert word in failure.value.detail
    assert (service.rooms, len(service.requests)) == ({}, 1)


def test_refusal_never_repeats_the_key(service: DailyServer) -> None:
    service.refusal = "the key secret-key-1234 is not valid"
    with pytest.raises(VideoError) as failure:
        daily(service, "secret-key-1234").ensure_room(NAME, OPENS, CLOSES)
    assert failure.value.detail == "authentication-error: the key *** is not valid"


def test_full_service_is_asked_when_it_wishes(service: DailyServer) -> None:
    service.faults.append(Fault("refuse", 429, {"Retry-After": "7"}, "rate-limit-error"))
    with pytest.raises(VideoError) as failure:
        daily(service).ensure_room(NAME, OPENS, CLOSES)
    error = failure.value
    assert (error.is_final, error.status_code, error.retry_after) == (False, 429, timedelta(seconds=7))


@pytest.mark.parametrize("fault", [Fault("refuse", 500), Fault("refuse", 503), Fault("hang"), Fault("lose")])
def test_failure_of_the_service_is_tried_again(service: DailyServer, fault: Fault) -> None:
    service.faults.append(fault)
    begun = time.monotonic()
    with pytest.raises(VideoError) as failure:
        daily(service, timeout=0.3).ensure_room(NAME, OPENS, CLOSES)
    assert not failure.value.is_final
    assert time.monotonic() - begun < 2
    assert daily(service).ensure_room(NAME, OPENS, CLOSES) == ADDRESS


def test_time_that_is_over_is_refused_for_good(service: DailyServer) -> None:
    """The service refuses what is asked, whoever has the name: nothing goes in circles."""
    with pytest.raises(VideoError) as failure:
        daily(service).ensure_room(NAME, OPENS - 3 * LATER, CLOSES - 3 * LATER)
    assert (failure.value.is_final, failure.value.status_code) == (True, 400)
    assert len(service.requests) <= 7


def test_update_that_is_refused_keeps_the_room(service: DailyServer) -> None:
    daily(service).ensure_room(NAME, OPENS, CLOSES)
    with pytest.raises(VideoError) as failure:
        daily(service).ensure_room(NAME, OPENS - 3 * LATER, CLOSES - 3 * LATER)
    assert (failure.value.is_final, times(service)) == (True, seconds(OPENS, CLOSES))


def test_private_address_of_a_service_is_refused(service: DailyServer) -> None:
    with pytest.raises(VideoError) as failure:
        Daily(HTTP, service.key, api_url=service.url).ensure_room(NAME, OPENS, CLOSES)
    assert "not public" in failure.value.detail
    assert service.requests == []


def test_check_says_whether_the_key_is_right(service: DailyServer) -> None:
    daily(service).check()
    with pytest.raises(VideoError):
        daily(service, "wrong").check()
    assert service.calls() == ["GET rooms", "GET rooms"]


# ----------------------------------------------------------------------------------------------------------------------
# Tokens
# ----------------------------------------------------------------------------------------------------------------------


def token(service: DailyServer, name: str = NAME, *, is_owner: bool = False) -> str:
    return daily(service).meeting_token(name, "Ada", is_owner=is_owner, opens_at=OPENS, closes_at=CLOSES)


def test_token_opens_its_room_for_its_time(service: DailyServer) -> None:
    daily(service).ensure_room(NAME, OPENS, CLOSES)
    daily(service).ensure_room("another", OPENS, CLOSES)
    begin, end = seconds(OPENS, CLOSES)
    given = token(service)
    assert service.may_enter(NAME, given, begin)
    assert not service.may_enter(NAME, None, begin)
    assert not service.may_enter(NAME, given, begin - 1)
    assert not service.may_enter(NAME, given, end)
    assert not service.may_enter("another", given, begin)


def test_token_says_who_owns_the_room(service: DailyServer) -> None:
    begin, end = seconds(OPENS, CLOSES)
    for is_owner in (False, True):
        said = service.payload(token(service, is_owner=is_owner))
        assert said.pop("iat") <= time.time()
        assert said == {"r": NAME, "u": "Ada", "o": is_owner, "nbf": begin, "exp": end}


def test_token_that_is_refused_is_an_error(service: DailyServer) -> None:
    with pytest.raises(VideoError) as failure:
        daily(service, "wrong").meeting_token(NAME, "Ada", is_owner=True, opens_at=OPENS, closes_at=CLOSES)
    assert failure.value.status_code == 401


# ----------------------------------------------------------------------------------------------------------------------
# Rooms of sessions
# ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def world(clean_world: World, service: DailyServer) -> World:
    """A practice whose sessions have rooms."""
    rooms(clean_world, service)
    return clean_world


def rooms(world: World, service: DailyServer, key: str | None = None, **terms: Any) -> None:
    settings = {"api_url": service.url, "allow_private": True}
    terms.setdefault("events", ["session.*"])
    set_destination(world, "rooms", kind="daily", settings=settings, secrets={"api_key": key or service.key}, **terms)


def sent(world: World) -> list[tuple[str, int | None]]:
    """Send all that is due, and return how each ended."""
    return [(outcome.kind, outcome.status_code) for outcome in send_all(world, DailySender(), "rooms")]


def video(world: World, session_id: UUID) -> tuple[str | None, str | None]:
    (found,) = world.run("select video_url, video_status from sessions where id = %s", session_id)
    return found[0], found[1]


def booked(world: World) -> UUID:
    session_id = world.book(world.client(credits=1), world.therapist())["id"]
    assert isinstance(session_id, UUID)
    return session_id


def window(world: World, session_id: UUID) -> tuple[int, ...]:
    ((start, end),) = world.run("select start_time, end_time from sessions where id = %s", session_id)
    return seconds(start - timedelta(minutes=15), end + timedelta(minutes=30))


def test_room_follows_its_session(world: World, service: DailyServer) -> None:
    session_id = booked(world)
    assert video(world, session_id) == (None, None)
    assert sent(world) == [("delivered", 200)]
    name = str(session_id)
    address = f"{DOMAIN}/{name}"
    assert video(world, session_id) == (address, "ready")

    def times() -> tuple[int, int]:
        return service.rooms[name]["config"]["nbf"], service.rooms[name]["config"]["exp"]

    assert times() == window(world, session_id)
    move(world, session_id, "15:00")
    assert sent(world) == [("delivered", 200)]
    assert times() == window(world, session_id)
    assert video(world, session_id) == (address, "ready")
    # Writing the address told nobody.
    assert sent(world) == []

    call(world.connection, "cancel_session", session_id=session_id)
    assert sent(world) == [("delivered", 200)]
    assert (service.rooms, video(world, session_id)) == ({}, (None, None))
    call(world.connection, "reopen_session", session_id=session_id)
    sent(world)
    assert (set(service.rooms), video(world, session_id)) == ({name}, (address, "ready"))
    assert world.violations() == []


def test_room_goes_with_a_session_that_is_deleted(world: World, service: DailyServer) -> None:
    session_id = booked(world)
    sent(world)
    world.run("delete from sessions where id = %s", session_id)
    assert sent(world) == [("delivered", 200)]
    assert service.rooms == {}


@pytest.mark.parametrize("function", ["complete_session", "mark_no_show"])
def test_room_goes_when_the_session_is_over(world: World, service: DailyServer, function: str) -> None:
    session_id = booked(world)
    begin(world.connection, session_id)
    sent(world)
    assert service.rooms != {}
    call(world.connection, function, session_id=session_id)
    sent(world)
    assert (service.rooms, video(world, session_id)) == ({}, (None, None))


def test_worker_that_comes_late_makes_what_is_wanted_now(world: World, service: DailyServer) -> None:
    """Each event leads to the state of now: a room that nobody wants any more is never made."""
    session_id = booked(world)
    move(world, session_id, "15:00")
    call(world.connection, "cancel_session", session_id=session_id)
    assert {kind for kind, _ in sent(world)} == {"delivered"}
    assert set(service.calls()) == {"DELETE rooms/:name"}


def test_expired_room_of_a_session_that_moved_is_made_anew(world: World, service: DailyServer) -> None:
    session_id = booked(world)
    sent(world)
    service.expire(str(session_id))
    move(world, session_id, "15:00")
    assert sent(world) == [("delivered", 200)]
    assert service.rooms[str(session_id)]["config"]["exp"] == window(world, session_id)[1]


def test_booking_and_start_go_on_while_the_service_is_down(world: World, service: DailyServer) -> None:
    service.faults.extend(Fault("refuse", 503) for _ in range(3))
    session_id = booked(world)
    begin(world.connection, session_id)
    assert ("retry", 503) in sent(world)
    assert video(world, session_id) == (None, None)
    assert call(world.connection, "start_session", session_id=session_id)["status"] == "in_progress"
    service.faults.clear()
    make_due(world, "rooms")
    assert {kind for kind, _ in sent(world)} == {"delivered"}
    assert video(world, session_id) == (f"{DOMAIN}/{session_id}", "ready")


def test_lost_answer_leads_to_one_room(world: World, service: DailyServer) -> None:
    session_id = booked(world)
    service.faults.append(Fault("lose", method="POST"))
    assert sent(world) == [("retry", None)]
    make_due(world, "rooms")
    assert sent(world) == [("delivered", 200)]
    assert service.rooms.keys() == {str(session_id)}
    assert video(world, session_id) == (f"{DOMAIN}/{session_id}", "ready")


def test_wrong_key_is_dead_at_once_and_told(world: World, service: DailyServer) -> None:
    rooms(world, service, "a-key-that-was-replaced")
    session_id = booked(world)
    assert sent(world) == [("dead", 401)]
    assert video(world, session_id) == (None, "failed")
    (found,) = world.run("select status, status_code, detail from list_deliveries('rooms')")
    assert found == ("dead", 401, "authentication-error: the API key is not valid")
    assert "a-key-that-was-replaced" not in json.dumps(
        world.run("select to_jsonb(d)::text from list_deliveries() as d")
    )
    rooms(world, service)
    assert world.scalar("select replay_deliveries('rooms')") == 1
    assert sent(world) == [("delivered", 200)]
    assert video(world, session_id) == (f"{DOMAIN}/{session_id}", "ready")


def test_room_that_is_there_stays_known_while_the_key_is_wrong(world: World, service: DailyServer) -> None:
    session_id = booked(world)
    sent(world)
    rooms(world, service, "wrong")
    move(world, session_id, "15:00")
    assert sent(world) == [("dead", 401)]
    assert video(world, session_id) == (f"{DOMAIN}/{session_id}", "failed")


def test_event_that_changes_no_session_makes_no_room(world: World, service: DailyServer) -> None:
    rooms(world, service, events=["*"])
    client = world.client(credits=1)
    call(world.connection, "grant_credits", user_id=client, amount=1)
    assert {kind for kind, _ in sent(world)} == {"dropped"}
    environment = Environment(Bookings(world.connection))
    assert DailySender().send(claimed("daily", "session.reminder"), environment).kind == "dropped"
    assert service.requests == []


def test_destination_without_a_key_waits_for_it(world: World) -> None:
    outcome = DailySender().send(claimed("daily"), Environment(Bookings(world.connection)))
    assert (outcome.kind, "api_key" in str(outcome.detail)) == ("retry", True)


def test_test_of_the_destination_asks_the_service(world: World, service: DailyServer) -> None:
    call(world.connection, "test_destination", name="rooms")
    assert (sent(world), service.calls()) == ([("delivered", 200)], ["GET rooms"])
    rooms(world, service, "wrong")
    call(world.connection, "test_destination", name="rooms")
    assert sent(world) == [("dead", 401)]


def test_both_people_enter_with_their_tokens(world: World, service: DailyServer) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    session_id = world.book(client, therapist)["id"]
    begin(world.connection, session_id, 0)
    sent(world)
    for person, is_owner in ((client, False), (therapist, True)):
        session = Bookings(world.connection, acting_as=person).join_session(session_id)
        token = token_to_join(daily(service), session, "Ada")
        assert service.may_enter(session.room_name, token, time.time())
        assert service.payload(token)["o"] is is_owner
        assert not service.may_enter(session.room_name, token, time.time() + 3 * 3600)
    call(world.connection, "complete_session", session_id=session_id)
    session = Bookings(world.connection, acting_as=client).join_session(session_id)
    with pytest.raises(ValueError, match="not_active"):
        token_to_join(daily(service), session, "Ada")
