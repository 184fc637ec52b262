"""Deliveries that a sender sends without a worker: relayed, claimed, sent and finished one after the other."""

from __future__ import annotations

from typing import Any

from psycopg.types.json import Jsonb

from bookingdb import Bookings, ClaimedDelivery
from bookingdb.worker.outcome import Outcome
from bookingdb.worker.senders import Environment, Sender
from tests.support import World
from tests.support.deliveries import claim, finish
from tests.support.life import call


def set_destination(world: World, name: str, **terms: Any) -> None:
    """Write a destination; settings and secrets are mappings."""
    packed = {key: Jsonb(value) if isinstance(value, dict) else value for key, value in terms.items()}
    call(world.connection, "set_destination", name=name, **packed)


def send_all(world: World, sender: Sender, destination: str) -> list[Outcome]:
    """Send all that is due to a destination now, and return what became of each delivery."""
    environment = Environment(Bookings(world.connection))
    outcomes: list[Outcome] = []
    while claimed := claim(world.connection, limit=1, destinations=[destination]):
        outcome = sender.send(ClaimedDelivery(**claimed[0]), environment)
        state = None if outcome.state is None else Jsonb(outcome.state)
        assert finish(
            world.connection, claimed[0], outcome.kind,
            status_code=outcome.status_code, detail=outcome.detail, retry_after=outcome.retry_after, state=state,
        )  # fmt: skip
        outcomes.append(outcome)
        assert len(outcomes) < 100
    return outcomes


def make_due(world: World, destination: str) -> None:
    """Let the wait for the next attempt be over."""
    world.run(
        "update bookingdb.deliveries as d set due_at = clock_timestamp() from bookingdb.destinations as n"
        " where n.id = d.destination_id and n.name = %s and d.status = 'pending'",
        destination,
    )
