"""People on every host, and callers of all kinds."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import World
from tests.support.calls import make_people


@pytest.fixture
def world(hosted_world: World) -> World:
    return hosted_world


@pytest.fixture
def people(world: World) -> dict[str, Any]:
    return make_people(world)


@pytest.fixture
def booked(world: World, people: dict[str, Any]) -> dict[str, Any]:
    """A session of each of the two clients."""
    world.book(people["me"], people["therapist"], "10:00")
    world.book(people["other"], people["therapist"], "12:00")
    return people
