"""A TCP proxy in front of a server that drops a connection when the call was sent and its answer is not there yet."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from psycopg.conninfo import make_conninfo


@dataclass
class Plan:
    """What is to happen to the calls that carry an idempotency key."""

    # How many tries of the call are cut off.
    times: int
    # At the COMMIT of the transaction with the call, not at the call itself.
    at_commit: bool = False
    # The server has answered, so the call is done; else nobody waited to see.
    when_done: bool = True
    dropped: int = 0


class Proxy:
    """Forwards to a server; `plans` says by key which calls it cuts off."""

    def __init__(self, server_port: int) -> None:
        """Listen; `serve` forwards."""
        self._server_port = server_port
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listening.getsockname()[1])
        self.plans: dict[bytes, Plan] = {}
        self.connections = 0
        self._lock = threading.Lock()

    def url(self, direct_url: str) -> str:
        return make_conninfo(direct_url, host="127.0.0.1", port=self.port)

    def plan(self, key: str, times: int, *, at_commit: bool = False, when_done: bool = True) -> Plan:
        """Cut off the next calls with this key."""
        plan = self.plans[key.encode()] = Plan(times, at_commit, when_done)
        return plan

    def forget(self, key: str) -> None:
        """What is over need not be looked for in everything that is sent."""
        del self.plans[key.encode()]

    def serve(self) -> None:
        """Accept connections until `close`."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                self.connections += 1
                threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def close(self) -> None:
        # A thread that accepts is woken by this only, not by the close.
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _forward(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._server_port)) as server:
            in_transaction: Plan | None = None
            while True:
                readable, _, _ = select.select([client, server], [], [])
                if server in readable:
                    data = server.recv(65536)
                    if not data:
                        return
                    client.sendall(data)
                if client in readable:
                    data = client.recv(65536)
                    if not data:
                        return
                    server.sendall(data)
                    called = self._planned(data)
                    in_transaction = called or in_transaction
                    plan = called if called is None or not called.at_commit else None
                    if in_transaction is not None and in_transaction.at_commit and b"COMMIT" in data:
                        plan = in_transaction
                    if plan is not None and self._take(plan):
                        if plan.when_done:
                            server.recv(65536)
                        return

    def _planned(self, data: bytes) -> Plan | None:
        return next((plan for key, plan in list(self.plans.items()) if key in data), None)

    def _take(self, plan: Plan) -> bool:
        with self._lock:
            if plan.dropped >= plan.times:
                return False
            plan.dropped += 1
            return True


@contextlib.contextmanager
def running(server_port: int) -> Iterator[Proxy]:
    """A proxy that ends with the block."""
    proxy = Proxy(server_port)
    thread = threading.Thread(target=proxy.serve, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join()
