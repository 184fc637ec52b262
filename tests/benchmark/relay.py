"""A network between a client and a server: a relay that delays what passes, in a process of its own."""

import contextlib
import multiprocessing
import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any, Final

from psycopg.conninfo import make_conninfo

from tests.benchmark.measurement import BenchmarkError
from tests.benchmark.scratch import Connection

_CHUNK: Final = 1 << 16
_STARTED: Final = 10.0
# Where a server listens: a folder's socket, or host and port.
Address = str | tuple[str, int]


class Relay:
    """A relay that runs.

    Attributes:
        port: where it listens, on 127.0.0.1.
    """

    def __init__(self, port: int, turns: Any) -> None:
        """`turns` is what its process counts in."""
        self.port = port
        self._turns = turns

    @property
    def round_trips(self) -> int:
        """How often a client has spoken after the server had, or first, on all connections."""
        return int(self._turns.value)

    def through(self, conninfo: str) -> str:
        """Return how to connect to the server by this relay."""
        return make_conninfo(conninfo, host="127.0.0.1", hostaddr="127.0.0.1", port=self.port)


@contextlib.contextmanager
def running(server: Address, delay: float) -> Iterator[Relay]:
    """Relay to a server, for the time of the block.

    Args:
        server: where it listens.
        delay: by how many seconds what is sent arrives later, in each direction. More can be under way meanwhile.

    Raises:
        BenchmarkError: the relay did not start.
    """
    # A process, because its threads would wait for those of the client.
    context = multiprocessing.get_context("fork")
    ports: Any = context.Queue()
    turns = context.Value("q", 0)
    process = context.Process(target=_relay, args=(server, delay, ports, turns), daemon=True)
    process.start()
    try:
        try:
            port = ports.get(timeout=_STARTED)
        except queue.Empty:
            raise BenchmarkError("the relay did not start") from None
        yield Relay(port, turns)
    finally:
        process.kill()
        process.join()


def address_of(connection: Connection) -> Address:
    """Return where the server of a connection listens."""
    info = connection.info
    if info.host.startswith("/"):
        return f"{info.host}/.s.PGSQL.{info.port}"
    return info.hostaddr or info.host, info.port


def _relay(server: Address, delay: float, ports: Any, turns: Any) -> None:
    # Ctrl-C reaches every process of a terminal: the one that started this ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = os.getppid()
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        listening.settimeout(1)
        ports.put(listening.getsockname()[1])
        # Nobody ends it where the one that started it was killed.
        while os.getppid() == parent:
            try:
                client, _ = listening.accept()
            except TimeoutError:
                continue
            client.settimeout(None)
            upstream = _connected(server)
            for end in (client, upstream):
                if end.family != socket.AF_UNIX:
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            turn = _Turn(turns)
            _pass_on(client, upstream, delay, turn.client_speaks)
            _pass_on(upstream, client, delay, turn.server_speaks)


def _connected(server: Address) -> socket.socket:
    if isinstance(server, tuple):
        return socket.create_connection(server)
    found = socket.socket(socket.AF_UNIX)
    found.connect(server)
    return found


class _Turn:
    """Whose turn it is on one connection."""

    def __init__(self, turns: Any) -> None:
        self._turns = turns
        self._is_clients = False

    def client_speaks(self) -> None:
        if not self._is_clients:
            with self._turns.get_lock():
                self._turns.value += 1
        self._is_clients = True

    def server_speaks(self) -> None:
        self._is_clients = False


def _pass_on(source: socket.socket, target: socket.socket, delay: float, heard: Any) -> None:
    """Pass on what comes from one end, in its order, each piece so much later, and the end of it, too."""
    under_way: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()

    def receive() -> None:
        piece = b"?"
        while piece:
            try:
                piece = source.recv(_CHUNK)
            except OSError:
                piece = b""
            if piece:
                heard()
            under_way.put((time.monotonic() + delay, piece))

    def send() -> None:
        while True:
            arrival, piece = under_way.get()
            time.sleep(max(arrival - time.monotonic(), 0))
            with contextlib.suppress(OSError):
                if not piece:
                    target.shutdown(socket.SHUT_WR)
                    return
                target.sendall(piece)

    for work in (receive, send):
        threading.Thread(target=work, daemon=True).start()
