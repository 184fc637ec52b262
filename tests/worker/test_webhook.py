"""Webhooks: what a receiver gets and can verify, and what its answer leads to."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import email.utils
import json
from collections.abc import Iterator
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from bookingdb import Bookings, ClaimedDelivery
from bookingdb.worker.outcome import Outcome
from bookingdb.worker.senders import Environment
from bookingdb.worker.webhook import WebhookSender, retry_after, signed_headers
from tests.support.claims import claimed
from tests.support.receiver import Receiver, Reply, receiving

NEW, OLD, OTHER = ("whsec_" + base64.b64encode(word * 8).decode() for word in (b"new!", b"old!", b"odd!"))


@pytest.fixture(scope="module")
def environment() -> Environment:
    return Environment(bookings=Bookings("postgresql://nobody@127.0.0.1:1/nothing"))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def hook(receiver: Receiver, secrets: Any = (NEW,), **settings: Any) -> ClaimedDelivery:
    settings = {"url": f"{receiver.url}/hook", "allow_private": True, **settings}
    body = {"type": "session.booked", "version": 1, "timestamp": "2030-01-07T09:00:00Z", "data": {"title": "Zoë ☃ \n"}}
    return claimed("webhook", settings=settings, secrets={"signing": list(secrets)}, body=body)


def send(delivery: ClaimedDelivery, environment: Environment) -> Outcome:
    return WebhookSender().send(delivery, environment)


def test_webhook_is_verified_by_its_receiver(receiver: Receiver, environment: Environment) -> None:
    delivery = hook(receiver)

    assert send(delivery, environment) == Outcome("delivered", 204)
    (received,) = receiver.received
    assert Webhook(NEW).verify(received.body.decode(), dict(received.headers)) == delivery.body
    assert received.headers["webhook-id"] == str(delivery.id)
    assert received.headers["content-type"] == "application/json"
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER).verify(received.body.decode(), dict(received.headers))
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW).verify(received.body.decode() + " ", dict(received.headers))


def test_secrets_in_rotation_both_verify(receiver: Receiver, environment: Environment) -> None:
    send(hook(receiver, (NEW, OLD)), environment)

    (received,) = receiver.received
    for secret in (NEW, OLD):
        Webhook(secret).verify(received.body.decode(), dict(received.headers))
    assert [part.partition(",")[0] for part in received.headers["webhook-signature"].split(" ")] == ["v1", "v1"]


def test_repeated_attempt_has_the_same_id(receiver: Receiver, environment: Environment) -> None:
    delivery = hook(receiver)
    for _ in range(2):
        send(delivery, environment)

    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body


def test_signature_is_the_one_of_the_specification() -> None:
    """The example in the specification of Standard Webhooks."""
    headers = signed_headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        b'{"test": 2432232314}',
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        1614265330,
    )

    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("status", "kind"),
    [(200, "delivered"), (202, "delivered"), (299, "delivered"), (301, "retry"), (304, "retry"), (307, "retry"),
     (400, "retry"), (401, "retry"), (404, "retry"), (409, "retry"), (410, "gone"), (429, "retry"), (500, "retry"),
     (503, "retry")],
)  # fmt: skip
def test_status_decides_what_becomes_of_it(
    receiver: Receiver, environment: Environment, status: int, kind: str
) -> None:
    receiver.reply = lambda _: Reply(status)
    outcome = send(hook(receiver), environment)

    assert (outcome.kind, outcome.status_code) == (kind, status)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("0", 0), ("120", 120), (" 7 ", 7), ("99999999999999999999", 86400), ("-5", None), ("soon", None), ("", None),
     ("1.5", None), ("١٢", None), ("Thu, 99 Foo 2030 00:00:00 GMT", None), ("Mon, 07 Jan 2030 09:00:30 GMT", 30),
     ("Mon, 07 Jan 2030 09:00:30 -0000", 30), ("Mon, 07 Jan 2030 08:00:00 GMT", 0),
     ("Tue, 08 Jan 2031 09:00:30 GMT", 86400), ("Mon, 07 Jan 9999 23:59:59 -9999", None), (None, None)],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: int | None) -> None:
    now = dt.datetime(2030, 1, 7, 9, tzinfo=dt.UTC)

    found = retry_after(value, now)
    if value is not None and value.endswith("-9999"):
        # Whatever it reads, nothing is raised.
        assert found is None or found <= dt.timedelta(days=1)
    else:
        assert found == (None if seconds is None else dt.timedelta(seconds=seconds))


def test_receiver_says_when_to_try_again(receiver: Receiver, environment: Environment) -> None:
    receiver.reply = lambda _: Reply(429, {"Retry-After": "90"}, b'{"error": "slow\x00 down\n"}')

    assert send(hook(receiver), environment) == Outcome(
        "retry", 429, '{"error": "slow\\x00 down "}', dt.timedelta(seconds=90)
    )
    at = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=5)
    receiver.reply = lambda _: Reply(503, {"Retry-After": email.utils.format_datetime(at, usegmt=True)})
    pause = send(hook(receiver), environment).retry_after
    assert pause is not None
    assert dt.timedelta(minutes=4, seconds=50) < pause <= dt.timedelta(minutes=5)


def test_short_pauses_do_not_use_up_the_attempts(receiver: Receiver, environment: Environment) -> None:
    receiver.reply = lambda _: Reply(503, {"Retry-After": "1"})
    delivery = hook(receiver)
    pauses = [send(dataclasses.replace(delivery, attempt=attempt), environment).retry_after for attempt in (1, 3, 4)]

    assert pauses == [dt.timedelta(seconds=1), dt.timedelta(seconds=1), None]


def test_receiver_that_takes_too_long_is_tried_again(receiver: Receiver, environment: Environment) -> None:
    receiver.reply = lambda _: Reply(200, {}, b"." * 1000, pause=0.05)

    assert send(hook(receiver, timeout_seconds=0.3), environment) == Outcome(
        "retry", detail="no answer within 0.3 seconds"
    )


def test_webhook_to_a_private_address_is_refused(receiver: Receiver, environment: Environment) -> None:
    outcome = send(hook(receiver, allow_private=False), environment)

    assert outcome == Outcome("retry", detail="the host has the address 127.0.0.1, which is not public")
    # Nothing but the truth value allows it.
    assert send(hook(receiver, allow_private="false"), environment) == outcome
    assert receiver.received == []


def test_receiver_that_is_not_there_is_tried_again(receiver: Receiver, environment: Environment) -> None:
    outcome = send(hook(receiver, url="http://127.0.0.1:1/"), environment)

    assert outcome == Outcome("retry", detail="no connection: Connection refused")


def test_secrets_may_come_from_the_environment(
    receiver: Receiver, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_SECRETS", f"{NEW} {OLD}")
    monkeypatch.setenv("HOOK_URL", f"{receiver.url}/from-the-environment")
    settings = {"url_env": "HOOK_URL", "signing_env": "HOOK_SECRETS", "allow_private": True}
    delivery = claimed("webhook", settings=settings)

    assert send(delivery, environment).kind == "delivered"
    (received,) = receiver.received
    assert received.path == "/from-the-environment"
    Webhook(OLD).verify(received.body.decode(), dict(received.headers))


@pytest.mark.parametrize(
    ("settings", "signing", "detail"),
    [
        ({"url": None}, [NEW], "the destination lacks url (or url_env, the name of an environment variable)"),
        ({"url": None, "url_env": "NOT_SET"}, [NEW], "the environment variable NOT_SET is not set; url_env names it"),
        ({}, [], "the destination lacks signing (or signing_env, the name of an environment variable)"),
        ({}, ["whsec_not base64"], "the secret signing must be whsec_ and base64"),
        ({}, ["whsec_"], "the secret signing must be whsec_ and base64"),
        ({}, ["whsec_ünicode"], "the secret signing must be whsec_ and base64"),
        ({"timeout_seconds": "long"}, [NEW], "timeout_seconds must be a number"),
        ({"timeout_seconds": "nan"}, [NEW], "timeout_seconds must be a number"),
        ({}, [None], "the secret signing must be whsec_ and base64"),
        ({"headers": ["a"]}, [NEW], "headers must be an object of names and texts"),
        ({"headers": {"x": "a\r\nHost: b"}}, [NEW], "headers must be names and texts of one line"),
        ({"headers": {"x y": "a"}}, [NEW], "headers must be names and texts of one line"),
        ({"headers": {"Webhook-Id": "a"}}, [NEW], "the header Webhook-Id cannot be set"),
        ({"headers": {"Host": "a"}}, [NEW], "the header Host cannot be set"),
        ({"url": "nothing"}, [NEW], "the URL must begin with https:// or http:// and a host"),
    ],
)
def test_destination_that_cannot_be_used_says_why(
    receiver: Receiver, environment: Environment, settings: dict[str, Any], signing: list[Any], detail: str
) -> None:
    assert send(hook(receiver, signing, **settings), environment) == Outcome("retry", detail=detail)
    assert receiver.received == []


def test_headers_of_the_destination_are_sent(receiver: Receiver, environment: Environment) -> None:
    send(
        hook(receiver, headers={"Authorization": "Bearer abcdef", "Content-Type": "application/vnd.x+json"}),
        environment,
    )

    (received,) = receiver.received
    assert received.headers["authorization"] == "Bearer abcdef"
    assert received.headers["content-type"] == "application/vnd.x+json"


def test_answer_that_repeats_a_secret_is_kept_without_it(receiver: Receiver, environment: Environment) -> None:
    receiver.reply = lambda _: Reply(400, {}, f"not {NEW} and not Bearer abcdef, {'long' * 500}".encode())
    outcome = send(hook(receiver, headers={"Authorization": "Bearer abcdef"}), environment)

    assert outcome.detail is not None
    assert outcome.detail.startswith("not *** and not ***, long")
    assert len(outcome.detail) <= 200


def test_answer_to_a_test_is_shown(receiver: Receiver, environment: Environment) -> None:
    receiver.reply = lambda _: Reply(200, {}, json.dumps({"ok": True}).encode())
    delivery = hook(receiver)

    assert send(delivery, environment) == Outcome("delivered", 200)
    tested = claimed("webhook", "bookingdb.test", settings=delivery.settings, secrets=delivery.secrets)
    assert send(tested, environment) == Outcome("delivered", 200, '{"ok": true}')
