"""The scenarios of `make torture` in small, and that each finds what it looks for when a guard is taken away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bookingdb import source
from tests.torture import ambiguous, crash, server
from tests.torture.figures import Figures
from tests.torture.server import Server

SOURCE = source.load()


@pytest.fixture(scope="module")
def own_server(bin_dir: Path) -> Iterator[Server]:
    """A server that writes carefully, and may be killed."""
    with server.running(bin_dir) as running:
        yield running


@contextmanager
def sabotaged(own_server: Server, sql: str) -> Iterator[None]:
    """Break something in every database that the block makes."""
    own_server.sabotage = sql
    try:
        yield
    finally:
        own_server.sabotage = ""


def replaced(name: str, *changes: tuple[str, str]) -> str:
    """The definition of a function of ours with something in it changed."""
    (function,) = (f for f in SOURCE.functions if f.schema == "bookingdb" and f.name == name)
    text = function.text
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


FORGETFUL = replaced("remember_answer", ("if p_key is null then", "if true then"))


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


def test_a_booking_whose_answer_was_lost_is_one_session_one_debit_and_the_same_id(own_server: Server) -> None:
    figures = ambiguous.torture(own_server, seconds=20, rounds=24)

    require_nothing_broken(figures, 24)


def test_a_database_that_forgets_keys_is_found_to_lose_them_in_ambiguous_commits(own_server: Server) -> None:
    with sabotaged(own_server, FORGETFUL):
        figures = ambiguous.torture(own_server, seconds=20, rounds=8)

    assert figures.lost
    assert figures.doubled
