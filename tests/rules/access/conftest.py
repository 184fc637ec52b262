"""People on every host, and callers of all kinds."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.support import TOMORROW, World


@pytest.fixture
def world(hosted_world: World) -> World:
    return hosted_world


@pytest.fixture
def people(world: World) -> dict[str, Any]:
    """Return a therapist, two clients with credits, and an address nobody has."""
    return {
        "therapist": world.therapist(),
        "me": world.client(credits=3),
        "other": world.client(credits=3),
        "date": TOMORROW,
        "email": f"{uuid4()}@example.com",
        "id": uuid4(),
    }


@pytest.fixture
def booked(world: World, people: dict[str, Any]) -> dict[str, Any]:
    """A session of each of the two clients."""
    world.book(people["me"], people["therapist"], "10:00")
    world.book(people["other"], people["therapist"], "12:00")
    return people
