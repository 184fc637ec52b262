"""Destinations of events, and what is delivered to them."""

from __future__ import annotations

from typing import Any

from psycopg.types.json import Jsonb

from tests.support import Connection
from tests.support.life import call, rows

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def webhook(connection: Connection, name: str, *events: str, url: str = "https://crm.example/hook", **more: Any) -> Any:
    """Create a webhook that is told of these events, or of all."""
    return call(
        connection, "set_destination",
        name=name, kind="webhook", events=list(events) or ["*"], settings=Jsonb({"url": url, **more}),
        secrets=Jsonb({"signing": [SECRET]}),
    )  # fmt: skip


def claim(connection: Connection, **arguments: Any) -> list[Any]:
    """Relay what there is, and claim what is due."""
    call(connection, "relay_events")
    return rows(connection, "claim_deliveries", **arguments)


def finish(connection: Connection, claimed: Any, outcome: str = "delivered", **arguments: Any) -> bool:
    """Finish a delivery that was claimed."""
    answer = call(
        connection, "finish_delivery",
        delivery_id=claimed["id"], token=claimed["token"], outcome=outcome, **arguments,
    )  # fmt: skip
    return bool(answer["finish_delivery"])


def drain(connection: Connection, **arguments: Any) -> list[Any]:
    """Relay, claim and deliver until there is nothing left; return what was delivered, in its order."""
    delivered: list[Any] = []
    while claimed := claim(connection, **arguments):
        for delivery in claimed:
            assert finish(connection, delivery)
        delivered += claimed
    return delivered
