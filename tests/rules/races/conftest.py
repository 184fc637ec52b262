"""What many can be in the middle of."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from tests.support import TOMORROW, World
from tests.support.life import (
    begin,
    call,
    request_session,
)
from tests.support.races import (
    holding_slot,
)


@pytest.fixture
def scene(world: World) -> dict[str, Any]:
    """Somebody with a session that is paid, one that has begun, one that waits for approval, a hold, and credits."""
    client, therapist = world.client(), world.therapist()
    lot_id = call(world.connection, "grant_credits", user_id=client, amount=9)["lot_id"]
    package = world.scalar("select id from set_package('Monthly', 4, '1 month', p_rollover_cap => 2, p_priority => 90)")
    call(world.connection, "grant_package", user_id=client, package_id=package)
    begun = world.book(client, therapist, "06:00")["id"]
    begin(world.connection, begun)
    cancelled = world.book(client, therapist, "14:00")["id"]
    call(world.connection, "cancel_session", session_id=cancelled)
    return {
        "client": client,
        "therapist": therapist,
        "package": package,
        "receiver": world.client(credits=1),
        "lot": lot_id,
        "session": world.book(client, therapist, "08:00")["id"],
        "begun": begun,
        "cancelled": cancelled,
        "request": request_session(
            world.connection, client, therapist, dt.datetime.combine(TOMORROW, dt.time(9), dt.UTC)
        ),
        "hold": holding_slot(client, therapist, "10:00")(world.connection)[0]["id"],
    }
