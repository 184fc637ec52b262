"""HTTP to addresses that others chose: checked, bounded in time and size, and without redirects.

A URL of a destination may name anything: the worker's own machine, its network, the metadata service of its cloud.
:class:`HttpClient` resolves the host once, refuses addresses that are not public, and connects to an address that it
has checked; nobody resolves the name again in between. Proxies that the environment names are not used, because a
proxy would resolve the name by itself.
"""

from __future__ import annotations

import contextlib
import ipaddress
import queue
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Final, NamedTuple

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, LocationParseError, NewConnectionError
from urllib3.exceptions import TimeoutError as WaitedTooLong
from urllib3.util import make_headers, parse_url

from bookingdb.text import printable

LONGEST_ANSWER: Final = 64 * 1024
"""How many bytes of an answer's body are read, where the caller does not say."""
LONGEST_WAIT: Final = 15.0
"""Seconds for all of a request, where the caller does not say."""

_CHUNK: Final = 16 * 1024
_PORTS: Final = {"http": 80, "https": 443}
# Protocol assignments and relays of 6to4: newer versions of Python know that they are not public.
_SPECIAL_V4: Final = (
    ipaddress.IPv4Network("192.0.0.0/24"),
    ipaddress.IPv4Network("192.88.99.0/24"),
    ipaddress.IPv4Network("168.63.129.16/32"),  # the platform of Azure, from any machine there
)
_GLOBAL: Final = ipaddress.IPv6Network("2000::/3")
_DOCUMENTATION: Final = ipaddress.IPv6Network("3fff::/20")  # older versions of Python do not know it
# Prefixes whose addresses lead to an IPv4 address, and the bit after which that begins.
_LEADING_TO_V4: Final = (
    (ipaddress.IPv6Network("::ffff:0:0/96"), 0),  # IPv4-mapped
    (ipaddress.IPv6Network("64:ff9b::/96"), 0),  # NAT64
    (ipaddress.IPv6Network("2002::/16"), 80),  # 6to4
)


class HttpFailure(Exception):
    """A request got no answer; the text says why in one line, and holds neither the URL nor a header."""


class AddressRefused(HttpFailure):
    """The URL leads to an address that is not public, or cannot be read."""


class TimedOut(HttpFailure):
    """The request was not over in time."""


@dataclass(frozen=True)
class Answer:
    """The answer of a server.

    Attributes:
        status: the HTTP status, also 3xx: redirects are not followed.
        headers: the headers by their names in lower case; several of a name are joined by commas.
        body: the body as it was sent, at most as long as the caller allowed.
        is_complete: False if the body was longer, and its end is missing.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_complete: bool = True

    def text(self) -> str:
        """Return the body as text, whatever is in it."""
        return self.body.decode("utf-8", "replace")


class _Address(NamedTuple):
    """An address of a host: as a socket takes it, and as a number."""

    text: str
    number: ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public(address: str) -> bool:
    """Tell whether everybody may be sent to this IP address.

    Private, loopback, link-local, shared (CGNAT), multicast, reserved and unspecified ones are not public, and neither
    are IPv6 addresses that lead to such an IPv4 address.

    Example:
        >>> is_public("192.0.2.1"), is_public("::ffff:10.0.0.1"), is_public("9.9.9.9")
        (False, False, True)
    """
    return _is_public(ipaddress.ip_address(address))


def _is_public(number: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(number, ipaddress.IPv6Address):
        for network, shift in _LEADING_TO_V4:
            if number in network:
                return _is_public(ipaddress.IPv4Address((int(number) >> shift) & 0xFFFFFFFF))
        if number not in _GLOBAL or number in _DOCUMENTATION:
            return False
    elif any(number in network for network in _SPECIAL_V4):
        return False
    return number.is_global and not number.is_multicast


class HttpClient:
    """Sends requests; a connection is made for each, and none is kept.

    Args:
        ssl_context: whom to believe; left out, the authorities that the machine trusts, or ``SSL_CERT_FILE`` names.
    """

    def __init__(self, ssl_context: ssl.SSLContext | None = None) -> None:
        """Remember whom to believe; nothing is connected yet."""
        # Made once: to read the authorities takes longer than most requests.
        self._ssl_context = ssl_context or ssl.create_default_context()

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        allow_private: bool = False,
        timeout: float = LONGEST_WAIT,
        largest: int = LONGEST_ANSWER,
    ) -> Answer:
        """Send a request, and return the answer.

        Args:
            method: such as ``"POST"``.
            url: http or https; a user and password in it are sent as basic authentication.
            headers: headers beside Host, Content-Length, Accept-Encoding and User-Agent.
            body: the bytes to send.
            allow_private: also connect to addresses that are not public.
            timeout: seconds for all of it, from looking up the name to the last byte of the answer.
            largest: how many bytes of the answer's body are read; the rest is left.

        Raises:
            AddressRefused: the URL cannot be read, or the host has no address that may be connected to.
            TimedOut: it was not over in `timeout` seconds; the server may have done what was asked.
            HttpFailure: no connection, or no HTTP over it.
        """
        limits = _Limits(time.monotonic() + timeout, timeout, largest)
        target = _read_url(url)
        sent = {"User-Agent": "bookingdb", "Accept-Encoding": "identity", **target.headers, **(headers or {})}
        addresses = _allowed_addresses(target, allow_private, limits)
        failure = HttpFailure("the host has no address")
        for number, address in enumerate(addresses):
            try:
                # One that does not answer leaves time for the others.
                connection = self._connect(target, address, limits.left() / (len(addresses) - number))
            except (HTTPError, OSError) as error:
                failure = _failure(error, limits)
                continue
            with contextlib.closing(connection):
                return _exchange(connection, method, target.path, sent, body, limits)
        raise failure

    def _connect(self, target: _Target, address: _Address, seconds: float) -> HTTPConnection:
        """Connect to an address, with the name of the host in TLS."""
        connection: HTTPConnection
        if target.scheme == "https":
            connection = HTTPSConnection(
                address.text,
                target.port,
                timeout=seconds,
                server_hostname=target.host,
                ssl_context=self._ssl_context,
                cert_reqs="CERT_REQUIRED",
            )
        else:
            connection = HTTPConnection(address.text, target.port, timeout=seconds)
        try:
            connection.connect()
        except BaseException:
            connection.close()
            raise
        return connection


class _Limits(NamedTuple):
    """The limits of a request: its deadline, the same in seconds, and the length of an answer's body."""

    deadline: float
    timeout: float
    largest: int

    def left(self) -> float:
        """Return the seconds that are left; sockets take no zero."""
        return max(self.deadline - time.monotonic(), 0.001)

    def timed_out(self) -> TimedOut:
        """Return the failure of a request that took longer."""
        return TimedOut(f"no answer within {self.timeout:g} seconds")


class _Target(NamedTuple):
    """A URL, read."""

    scheme: str
    host: str
    port: int
    path: str
    headers: Mapping[str, str]


def _read_url(url: str) -> _Target:
    try:
        parsed = parse_url(url)
    except LocationParseError:
        raise AddressRefused("the URL cannot be read") from None
    if parsed.scheme not in _PORTS or not parsed.host:
        raise AddressRefused("the URL must begin with https:// or http:// and a host")
    port = parsed.port or _PORTS[parsed.scheme]
    headers = {"Host": parsed.netloc or parsed.host}
    if parsed.auth:
        headers.update({"Authorization": make_headers(basic_auth=parsed.auth)["authorization"]})
    return _Target(parsed.scheme, parsed.host.strip("[]"), port, parsed.request_uri, headers)


def _allowed_addresses(target: _Target, allow_private: bool, limits: _Limits) -> list[_Address]:
    """Return the addresses of the host that may be connected to, in the order of the resolver."""
    found = _resolve(target.host, target.port, limits)
    allowed = [address for address in found if allow_private or _is_public(address.number)]
    if found and not allowed:
        raise AddressRefused(f"the host has the address {found[0].number}, which is not public")
    return allowed


def _resolve(host: str, port: int, limits: _Limits) -> list[_Address]:
    """Look up a name, for as long as there is time: the resolver itself knows no limit."""
    answers: queue.SimpleQueue[list[_Address] | Exception] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            texts = dict.fromkeys(str(address[0]) for *_, address in found)
            answers.put([_Address(text, ipaddress.ip_address(text)) for text in texts])
        except (OSError, ValueError) as error:
            answers.put(error)

    threading.Thread(target=look_up, daemon=True).start()
    try:
        found = answers.get(timeout=limits.left())
    except queue.Empty:
        raise limits.timed_out() from None
    if isinstance(found, Exception):
        # UnicodeError is a name that no host can have.
        reason = getattr(found, "strerror", None) or "no host can have this name"
        raise HttpFailure(f"the host's name was not found: {reason}") from None
    return found


def _exchange(
    connection: HTTPConnection,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes | None,
    limits: _Limits,
) -> Answer:
    """Send the request over a connection, and read the answer, until the deadline."""
    assert connection.sock is not None
    connection.sock.settimeout(limits.left())
    watch = _Watch(connection.sock, limits)
    try:
        with watch:
            connection.request(method, path, body=body, headers=headers, preload_content=False, decode_content=False)
            response = connection.getresponse()
            read, is_complete = _read_body(response, limits.largest)
    except (HTTPError, HTTPException, OSError) as error:
        raise limits.timed_out() if watch.has_ended else _failure(error, limits) from None
    if watch.has_ended:
        # A body that goes on to the end of the connection ended there.
        raise limits.timed_out()
    answered = {name.lower(): ", ".join(response.headers.getlist(name)) for name in response.headers}
    return Answer(response.status, answered, read, is_complete)


def _read_body(response: urllib3.BaseHTTPResponse, largest: int) -> tuple[bytes, bool]:
    """Read the body up to its end or `largest` bytes, and tell whether that was all."""
    parts, length = [], 0
    for part in response.stream(_CHUNK, decode_content=False):
        parts.append(part)
        length += len(part)
        if length > largest:
            return b"".join(parts)[:largest], False
    return b"".join(parts), True


class _Watch:
    """Shuts a socket down at the deadline. Its time-out alone begins anew with each byte that a server sends."""

    def __init__(self, sock: socket.socket, limits: _Limits) -> None:
        self._sock = sock
        self._timer = threading.Timer(limits.left(), self._end)
        self._timer.daemon = True
        self.has_ended = False

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def _end(self) -> None:
        self.has_ended = True
        with contextlib.suppress(OSError):
            # TLS's own method would make later reads plain ones.
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)


def _failure(error: Exception, limits: _Limits) -> HttpFailure:
    """Return what a request failed of, in words that hold nothing of the URL."""
    if isinstance(error, TimeoutError | WaitedTooLong) and not isinstance(error, NewConnectionError):
        return limits.timed_out()
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return HttpFailure(f"the server's certificate is not valid: {printable(cause.verify_message)}")
        if isinstance(cause, OSError) and cause.strerror:
            return HttpFailure(f"no connection: {printable(cause.strerror)}")
        cause = cause.__cause__ or cause.__context__
    return HttpFailure(f"no HTTP answer: {type(error).__name__}")
