"""The scenarios of `make torture` in small, and that each finds what it looks for when a guard is taken away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.torture import crash, server
from tests.torture.figures import Figures
from tests.torture.server import Server


@pytest.fixture(scope="module")
def own_server(bin_dir: Path) -> Iterator[Server]:
    """A server that writes carefully, and may be killed."""
    with server.running(bin_dir) as running:
        yield running


def require_nothing_broken(figures: Figures, operations: int) -> None:
    """Hold that enough was done, and all of it as promised."""
    assert figures.failures == []
    assert figures.operations >= operations


def test_what_was_acknowledged_survives_the_kill_of_the_server_and_nothing_is_doubled(own_server: Server) -> None:
    figures = crash.torture(own_server, seconds=20, rounds=2)

    require_nothing_broken(figures, 40)
    assert figures.rounds == 2


def test_a_server_that_answers_before_it_writes_is_found_to_lose_bookings(own_server: Server) -> None:
    careful = dict(own_server.settings)
    own_server.stop()
    own_server.settings |= {"synchronous_commit": "off", "wal_writer_delay": "10s"}
    own_server.start()
    try:
        assert crash.torture(own_server, seconds=20, rounds=1).lost
    finally:
        own_server.stop()
        own_server.settings = careful
        own_server.start()
