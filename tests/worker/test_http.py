"""Requests to addresses that others chose: which are refused, and what a server cannot do to the worker."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import trustme

from bookingdb.worker.http import AddressRefused, HttpClient, HttpFailure, TimedOut, is_public
from tests.support.receiver import Received, Reply, receiving

PUBLIC = ("9.9.9.9", "100.63.255.255", "172.15.0.1", "2620:fe::fe", "2002:909:909::1", "64:ff9b::9.9.9.9")
# An address that is as public as any, and that no machine has.
NOBODYS = "3000::1"
NOT_PUBLIC = (
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.9.9.9", "169.254.169.254", "172.16.0.1",
    "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "224.0.1.1", "240.0.0.1",
    "168.63.129.16", "3fff::1",
    "255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::10.0.0.1",
    "64:ff9b:1::10.0.0.1", "100::1", "2001:db8::1", "2001::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "fc00::1",
    "fd00:ec2::254", "fe80::1", "fe80::1%1", "fec0::1", "ff02::1",
)  # fmt: skip


@pytest.fixture(scope="module")
def client() -> HttpClient:
    return HttpClient()


@contextlib.contextmanager
def raw_server(*writes: bytes, pause: float = 0.02, forever: bool = False) -> Iterator[str]:
    """A server that writes these bytes, whatever it is asked; `forever` repeats the last."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        is_over = threading.Event()

        def serve() -> None:
            with contextlib.suppress(OSError):
                peer, _ = listener.accept()
                with peer:
                    # What was asked is read, lest the end of the connection be a reset.
                    peer.recv(65536)
                    for write in writes:
                        peer.sendall(write)
                        is_over.wait(pause)
                    while forever and not is_over.wait(pause):
                        peer.sendall(writes[-1])

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        is_over.set()
        # An accept is not ended by closing.
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize("address", PUBLIC)
def test_public_address_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_address_of_a_private_network_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "0x7f.1", "2130706433", "0", "[::1]", "[::ffff:127.0.0.1]", "LOCALHOST"]
)
def test_private_host_is_refused_however_it_is_written(client: HttpClient, host: str) -> None:
    with receiving() as receiver:
        port = receiver.url.rpartition(":")[2]
        with pytest.raises(AddressRefused, match="which is not public"):
            client.request("POST", f"http://{host}:{port}/")

        assert receiver.received == []


def test_private_host_answers_when_it_is_allowed(client: HttpClient) -> None:
    with receiving() as receiver:
        receiver.reply = lambda _: Reply(200, {"X-Word": "yes"}, b"thanks")
        answer = client.request(
            "POST", f"{receiver.url}/hook?a=b", headers={"X-Own": "1"}, body=b"{}", allow_private=True
        )

    assert (answer.status, answer.body, answer.headers["x-word"], answer.is_complete) == (200, b"thanks", "yes", True)
    (received,) = receiver.received
    assert (received.method, received.path, received.body) == ("POST", "/hook?a=b", b"{}")
    assert received.headers["host"] == receiver.url.removeprefix("http://")
    assert received.headers["x-own"] == "1"


def resolving(monkeypatch: pytest.MonkeyPatch, name: str, *answers: list[str]) -> list[str]:
    """Let a name have these addresses, each list for one question; the list grows with what is asked."""
    asked: list[str] = []
    resolve = socket.getaddrinfo

    def resolved(host: str, port: int, *arguments: Any, **others: Any) -> list[Any]:
        if host != name:
            return resolve(host, port, *arguments, **others)
        asked.append(host)
        found = answers[min(len(asked), len(answers)) - 1]
        return [entry for address in found for entry in resolve(address, port, *arguments, **others)]

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    return asked


def test_name_is_resolved_once(client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that answers a public address first and a private one then gets nobody to the second."""
    asked = resolving(monkeypatch, "rebinding.example", [NOBODYS], ["127.0.0.1"])
    with receiving() as receiver:
        with pytest.raises(HttpFailure) as caught:
            client.request("GET", receiver.url.replace("127.0.0.1", "rebinding.example"), timeout=0.5)

        assert not isinstance(caught.value, AddressRefused)
        assert (asked, receiver.received) == (["rebinding.example"], [])


def test_private_address_among_public_ones_is_left_out(client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, "mixed.example", ["127.0.0.1", NOBODYS])
    with receiving() as receiver:
        with pytest.raises(HttpFailure) as caught:
            client.request("GET", receiver.url.replace("127.0.0.1", "mixed.example"), timeout=0.5)

        assert not isinstance(caught.value, AddressRefused)
        assert receiver.received == []


def test_second_address_answers_where_the_first_does_not(client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, "two.example", ["127.0.0.2", "127.0.0.1"])
    with receiving() as receiver:
        url = receiver.url.replace("127.0.0.1", "two.example")
        assert client.request("GET", url, allow_private=True).status == 204
        assert receiver.received[0].headers["host"] == url.removeprefix("http://")


def test_redirect_is_an_answer_that_nobody_follows(client: HttpClient) -> None:
    with receiving() as receiver:
        receiver.reply = lambda received: Reply(302, {"Location": f"{receiver.url}/other"})
        answer = client.request("POST", f"{receiver.url}/hook", body=b"{}", allow_private=True)

    assert answer.status == 302
    assert [received.path for received in receiver.received] == ["/hook"]


def test_answer_that_trickles_is_given_up_in_time(client: HttpClient) -> None:
    with receiving() as receiver:
        receiver.reply = lambda _: Reply(200, {}, b"." * 1000, pause=0.05)
        begun = time.monotonic()
        with pytest.raises(TimedOut, match=r"no answer within 0\.4 seconds"):
            client.request("GET", receiver.url, allow_private=True, timeout=0.4)

    assert time.monotonic() - begun < 1.5


@pytest.mark.parametrize("trickled", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b""])
def test_server_that_never_ends_is_given_up_in_time(client: HttpClient, trickled: bytes) -> None:
    """In the middle of the headers, of a body without a length, and before the first byte."""
    line = b"X-A: b\r\n" if trickled and not trickled.endswith(b"\r\n\r\n") else b"."
    with raw_server(*([trickled, line] if trickled else []), pause=0.1, forever=bool(trickled)) as url:
        begun = time.monotonic()
        with pytest.raises(TimedOut if trickled else HttpFailure):
            client.request("GET", url, allow_private=True, timeout=0.4)

    assert time.monotonic() - begun < 1.5


def test_resolver_that_does_not_answer_is_given_up(client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    is_over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: is_over.wait(10) and [])
    with pytest.raises(TimedOut):
        client.request("GET", "http://slow.example/", timeout=0.2)
    is_over.set()


def test_long_answer_is_read_up_to_its_limit(client: HttpClient) -> None:
    with receiving() as receiver:
        receiver.reply = lambda _: Reply(200, {}, b"x" * 5_000_000)
        answer = client.request("GET", receiver.url, allow_private=True, largest=1000)

    assert (len(answer.body), answer.is_complete) == (1000, False)


@pytest.mark.parametrize(
    "written", [b"SSH-2.0-server\r\n", b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 1000, b"HTTP/1.1 two\r\n\r\n"]
)
def test_answer_that_is_no_http_is_a_failure(client: HttpClient, written: bytes) -> None:
    with raw_server(written) as url, pytest.raises(HttpFailure, match="no HTTP answer"):
        client.request("GET", url, allow_private=True, timeout=2)


@pytest.mark.parametrize(
    "url", ["", "nothing", "ftp://9.9.9.9/", "file:///etc/passwd", "http://", "http://[::1", "https://:443/"]
)
def test_url_that_names_no_host_is_refused(client: HttpClient, url: str) -> None:
    with pytest.raises(HttpFailure):
        client.request("GET", url, timeout=1)


def test_failure_says_nothing_of_the_url(client: HttpClient) -> None:
    with receiving() as receiver:
        url = receiver.url
    for failing in (f"{url}/secret-path?token=secret", "http://user:secret@127.0.0.1:1/", "http://a b/secret"):
        with pytest.raises(HttpFailure) as caught:
            client.request("GET", failing, allow_private=True, timeout=1)

        assert "secret" not in str(caught.value)


def test_proxy_of_the_environment_is_not_used(client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as proxy, receiving() as receiver:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        client.request("GET", receiver.url, allow_private=True)

    assert (len(proxy.received), len(receiver.received)) == (0, 1)


def test_password_of_a_url_is_sent_as_a_header(client: HttpClient) -> None:
    with receiving() as receiver:
        client.request("GET", receiver.url.replace("//", "//ada:word@"), allow_private=True)

    (received,) = receiver.received
    assert received.headers["authorization"] == "Basic YWRhOndvcmQ="
    assert "ada" not in received.headers["host"]


def test_certificate_must_be_of_the_hosts_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client connects to an address, and the server is told and shows the name."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("named.example").configure_cert(context)
    asked: list[str | None] = []
    context.sni_callback = lambda _, name, __: asked.append(name)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    resolving(monkeypatch, "named.example", ["127.0.0.1"])
    resolving(monkeypatch, "other.example", ["127.0.0.1"])
    with receiving(context) as receiver:
        named, other = (receiver.url.replace("127.0.0.1", f"{name}.example") for name in ("named", "other"))
        assert HttpClient(trusting).request("GET", named, allow_private=True).status == 204
        with pytest.raises(HttpFailure, match="the server's certificate is not valid"):
            HttpClient(trusting).request("GET", other, allow_private=True)
        with pytest.raises(HttpFailure, match="the server's certificate is not valid"):
            HttpClient().request("GET", named, allow_private=True)

    assert asked[0] == "named.example"
    assert len(receiver.received) == 1


def test_handshake_that_does_not_begin_is_given_up() -> None:
    with raw_server(b"", pause=5) as url:
        begun = time.monotonic()
        with pytest.raises(HttpFailure):
            HttpClient().request("GET", url.replace("http", "https"), allow_private=True, timeout=0.4)

    assert time.monotonic() - begun < 2


def test_package_is_imported_without_the_worker() -> None:
    code = "import sys, bookingdb, bookingdb.cli.main; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True).stdout.split()

    assert "bookingdb" in loaded
    assert {"urllib3", "bookingdb.worker"} & set(loaded) == set()


def test_bodies_arrive_as_they_were_sent(client: HttpClient) -> None:
    bodies = [bytes(range(256)), b"", "Zoë ☃".encode()]
    replies: list[Received] = []
    with receiving() as receiver:
        receiver.reply = lambda received: Reply(200, {}, received.body[::-1])
        answers = [client.request("POST", receiver.url, body=body, allow_private=True) for body in bodies]
        replies = receiver.received

    assert [received.body for received in replies] == bodies
    assert [answer.body[::-1] for answer in answers] == bodies
