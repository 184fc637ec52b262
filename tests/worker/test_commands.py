"""The commands about destinations and deliveries, and the one that delivers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from standardwebhooks import Webhook

from tests.support import World
from tests.support.commands import answer, bookingdb, done
from tests.support.receiver import Receiver, Reply, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def add(world: World, receiver: Receiver, name: str = "app") -> str:
    """Add a webhook to the receiver, and return its secret."""
    url = f"{receiver.url}/{name}"
    added = answer(world.url, "destinations", "add", name, "--url", url, "--setting", "allow_private=true")
    return str(added["secret"])


def book(world: World) -> None:
    world.book(world.client(credits=1), world.therapist())


def test_webhook_is_added_with_a_secret_that_verifies(world: World, receiver: Receiver) -> None:
    secret = add(world, receiver)
    book(world)

    assert answer(world.url, "worker", "--once")["delivered"] > 0
    received = receiver.received[0]
    assert Webhook(secret).verify(received.body.decode(), dict(received.headers))
    (listed,) = answer(world.url, "destinations", "list")
    assert (listed["name"], listed["kind"], listed["secret_names"]) == ("app", "webhook", ["signing"])
    assert secret not in done(world.url, "destinations", "list").output
    assert "app" in done(world.url, "deliveries", "status").output


def test_added_again_a_destination_keeps_what_is_not_given(world: World, receiver: Receiver) -> None:
    secret = add(world, receiver)
    changed = answer(
        world.url, "destinations", "add", "app", "--event", "session.booked", "--setting", "timeout_seconds=5"
    )

    assert "secret" not in changed
    assert changed["events"] == ["session.booked"]
    assert changed["settings"] == {"allow_private": True, "timeout_seconds": 5, "url": f"{receiver.url}/app"}
    assert done(world.url, "destinations", "add", "app", "--setting", "timeout_seconds=null").exit_code == 0
    done(world.url, "destinations", "test", "app")
    received = receiver.received[0]
    Webhook(secret).verify(received.body.decode(), dict(received.headers))


def test_test_shows_the_answer_and_is_sent_once(world: World, receiver: Receiver) -> None:
    add(world, receiver)
    receiver.reply = lambda _: Reply(200, {}, b"welcome \x1b[31m")
    shown = done(world.url, "destinations", "test", "app")
    assert shown.stdout == "delivered, status 200\nwelcome \\x1b[31m\n"

    receiver.reply = lambda _: Reply(500, {"Retry-After": "1"}, b"not yet")
    failed = bookingdb(world.url, "destinations", "test", "app")
    assert (failed.exit_code, failed.stdout) == (1, "not delivered, status 500\nnot yet\n")
    assert len(receiver.received) == 2
    (last, _) = answer(world.url, "deliveries", "list")
    assert (last["type"], last["status"], last["attempts"]) == ("bookingdb.test", "dead", 1)


def test_test_of_a_disabled_destination_says_so(world: World, receiver: Receiver) -> None:
    add(world, receiver)
    done(world.url, "destinations", "disable", "app")

    refused = bookingdb(world.url, "destinations", "test", "app")
    assert refused.exit_code == 1
    assert "`bookingdb destinations enable app` enables it" in refused.stderr
    assert "destination_not_found" in bookingdb(world.url, "destinations", "test", "nobody").stderr


def test_secret_is_rotated_with_both_signatures(world: World, receiver: Receiver) -> None:
    old = add(world, receiver)
    new = answer(world.url, "destinations", "rotate", "app")["secret"]
    done(world.url, "destinations", "test", "app")
    for secret in (old, new):
        Webhook(secret).verify(receiver.received[0].body.decode(), dict(receiver.received[0].headers))

    assert answer(world.url, "destinations", "rotate", "app", "--end") == {"destination": "app", "is_rotating": False}
    done(world.url, "destinations", "test", "app")
    assert len(receiver.received[1].headers["webhook-signature"].split()) == 1
    Webhook(new).verify(receiver.received[1].body.decode(), dict(receiver.received[1].headers))


def test_secrets_are_read_from_standard_input(world: World, receiver: Receiver) -> None:
    mail = (
        "destinations",
        "add",
        "post",
        "--kind",
        "mail",
        "--setting",
        "host=localhost",
        "--setting",
        "from=a@b.example",
    )
    assert bookingdb(world.url, *mail, "--secret", "password", stdin="a word\n").exit_code == 0
    assert world.scalar("select secrets from bookingdb.destinations") == {"password": "a word"}
    lacking = bookingdb(world.url, *mail, "--secret", "password", stdin="")
    assert lacking.exit_code == 2

    add(world, receiver)
    given = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    shown = bookingdb(world.url, "destinations", "rotate", "app", "--secret", stdin=f"{given}\n")
    assert given not in shown.output
    done(world.url, "destinations", "test", "app")
    Webhook(given).verify(receiver.received[0].body.decode(), dict(receiver.received[0].headers))


def test_destination_that_is_enabled_gets_what_waits(world: World, receiver: Receiver) -> None:
    add(world, receiver)
    book(world)
    assert bookingdb(world.url, "destinations", "disable", "app").stdout == "app is disabled.\n"
    world.run("select relay_events()")
    assert answer(world.url, "worker", "--once") == {}
    assert "no: by hand" in done(world.url, "destinations", "list").output

    done(world.url, "destinations", "enable", "app")
    book(world)
    assert answer(world.url, "worker", "--once")["delivered"] > 0


def test_destination_is_removed_with_its_deliveries(world: World, receiver: Receiver) -> None:
    add(world, receiver)
    book(world)
    done(world.url, "worker", "--once")
    assert bookingdb(world.url, "destinations", "remove", "app", stdin="n\n").exit_code == 1
    assert world.count("bookingdb.deliveries") > 0

    assert answer(world.url, "destinations", "remove", "app", "--yes") == {"removed": True}
    assert world.count("bookingdb.deliveries") == 0
    assert bookingdb(world.url, "destinations", "remove", "app", "--yes").stdout == "There is no destination app.\n"


def test_dead_deliveries_are_listed_and_replayed(world: World, receiver: Receiver) -> None:
    add(world, receiver)
    done(world.url, "destinations", "add", "app", "--event", "session.*")
    receiver.reply = lambda _: Reply(410)
    book(world)
    assert answer(world.url, "worker", "--once")["gone"] == 1
    dead = answer(world.url, "deliveries", "list", "--destination", "app", "--status", "dead")
    assert [delivery["status_code"] for delivery in dead] == [410]
    (status,) = answer(world.url, "deliveries", "status")
    assert (status["dead"], status["disabled_reason"]) == (1, "gone")
    assert answer(world.url, "deliveries", "list", "--subject", dead[0]["subject_id"], "--status", "dead") == dead

    receiver.reply = lambda _: Reply()
    done(world.url, "destinations", "enable", "app")
    assert answer(world.url, "deliveries", "replay", "app") == {"replayed": 1}
    done(world.url, "worker", "--once")
    again = [received for received in receiver.received if received.headers["webhook-id"] == dead[0]["id"]]
    assert len(again) == 2
    assert (
        answer(world.url, "deliveries", "replay", "app", "--status", "all", "--to", "2020-01-01T00:00Z")["replayed"]
        == 0
    )
    assert answer(world.url, "deliveries", "replay", "app", "--id", dead[0]["id"])["replayed"] == 1


def test_worker_prints_a_table_of_outcomes(world: World, receiver: Receiver) -> None:
    add(world, receiver)
    book(world)
    result = done(world.url, "worker", "--once", "--destination", "app")

    assert "delivered" in result.stdout
    assert " delivered delivery=" in result.stderr
    assert bookingdb(world.url, "worker", "--once", "--lease", "1s").exit_code == 2
