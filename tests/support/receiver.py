"""A real HTTP server on 127.0.0.1 that answers as it is told, and remembers what it got."""

from __future__ import annotations

import contextlib
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Received:
    """A request, with its headers by their names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class Reply:
    """An answer; with `pause`, each byte of the body is followed by so many seconds."""

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    pause: float = 0


@dataclass
class Receiver:
    """The server's URL, what it got, and how it answers."""

    url: str
    reply: Callable[[Received], Reply] = lambda _: Reply()
    received: list[Received] = field(default_factory=list)


@contextlib.contextmanager
def receiving(ssl_context: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver, in threads of this process."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            # Clients that give up are what some tests are about.
            with contextlib.suppress(OSError):
                super().handle_one_request()
                return
            self.close_connection = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            received = Received(self.command, self.path, headers, body)
            receiver.received.append(received)
            reply = receiver.reply(received)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.status != 204:
                self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            step = 1 if reply.pause else max(len(reply.body), 1)
            for first in range(0, len(reply.body), step):
                self.wfile.write(reply.body[first : first + step])
                time.sleep(reply.pause)

        do_GET = do_DELETE = do_PUT = do_POST

        def log_message(self, format: str, *args: object) -> None:
            """Keep the tests' output as it is."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if ssl_context is not None:
        server.socket = ssl_context.wrap_socket(server.socket, server_side=True)
    scheme = "http" if ssl_context is None else "https"
    receiver = Receiver(f"{scheme}://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
