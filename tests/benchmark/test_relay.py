"""The relay of the benchmark delays what passes by what it is told, and loses none of it."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from tests.benchmark import relay
from tests.support import connect, scalar

DELAY = 0.02


@contextmanager
def echo() -> Iterator[tuple[str, int]]:
    """A server that sends back what it gets, and ends when its client has ended."""

    def answer(client: socket.socket) -> None:
        with client:
            while piece := client.recv(1000):
                client.sendall(piece)

    def serve() -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(client,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()
        # A thread in accept() does not notice that its socket is closed.
        listening.shutdown(socket.SHUT_RDWR)


def received(client: socket.socket) -> bytes:
    """Everything until the other end is done."""
    return b"".join(iter(lambda: client.recv(1 << 16), b""))


def test_relay_delays_both_directions() -> None:
    seconds = []
    with (
        echo() as server,
        relay.running(server, DELAY) as through,
        socket.create_connection(("127.0.0.1", through.port)) as client,
    ):
        for _ in range(10):
            begun = time.monotonic()
            client.sendall(b"?")
            assert client.recv(1) == b"?"
            seconds.append(time.monotonic() - begun)

    assert min(seconds) >= 2 * DELAY
    # Both ways are delayed once: by luck one of ten is not kept waiting by other work.
    assert min(seconds) < 3 * DELAY
    assert through.round_trips == 10


def test_relay_loses_nothing_and_keeps_the_order() -> None:
    """Much is under way at once, on several connections, until each end has ended."""
    sent = [random.Random(seed).randbytes(1_000_000) for seed in range(4)]
    found: list[bytes] = [b""] * len(sent)

    def exchange(place: int) -> None:
        with socket.create_connection(("127.0.0.1", through.port)) as client:
            reading = threading.Thread(target=lambda: found.__setitem__(place, received(client)))
            reading.start()
            pieces = random.Random(place)
            rest = sent[place]
            while rest:
                size = pieces.randint(1, 20_000)
                client.sendall(rest[:size])
                rest = rest[size:]
            client.shutdown(socket.SHUT_WR)
            reading.join()

    with echo() as server, relay.running(server, DELAY) as through:
        exchanges = [threading.Thread(target=exchange, args=(place,)) for place in range(len(sent))]
        begun = time.monotonic()
        for each in exchanges:
            each.start()
        for each in exchanges:
            each.join()

    assert [len(each) for each in found] == [len(each) for each in sent]
    assert found == sent
    # A delay for each piece, one after the other, would take minutes.
    assert time.monotonic() - begun < 10


def test_relay_passes_queries_on_and_counts_them(server_url: str) -> None:
    with connect(server_url) as direct, relay.running(relay.address_of(direct), DELAY) as through:
        with psycopg.connect(through.through(server_url), autocommit=True) as connection:
            before = through.round_trips
            begun = time.monotonic()
            assert [scalar(connection, "select 7") for _ in range(5)] == [7] * 5
            elapsed = time.monotonic() - begun
            assert through.round_trips - before == 5
            assert elapsed >= 5 * 2 * DELAY
            # More than one piece.
            assert scalar(connection, "select repeat('x', 1000000)") == "x" * 1_000_000
            # The end of a client reaches the server, too.
            pid = connection.info.backend_pid
        deadline = time.monotonic() + 5
        while scalar(direct, "select count(*) from pg_stat_activity where pid = %s", pid):
            assert time.monotonic() < deadline
            time.sleep(0.01)
