"""A video service of one's own: it answers as the public reference of Daily's REST API says, and fails when told to.

Rooms are kept, so that a test reads what came of the calls. Expired rooms are as good as deleted, except that their
name is taken until somebody deletes them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

DOMAIN = "https://practice.daily.example"
ROOM_PROPERTIES = frozenset({
    "nbf", "exp", "max_participants", "enable_chat", "enable_knocking", "enable_screenshare", "enable_recording",
    "start_video_off", "start_audio_off", "eject_at_room_exp", "enable_prejoin_ui", "lang", "owner_only_broadcast",
})  # fmt: skip
# A token says its properties in short.
TOKEN_PROPERTIES = {
    "room_name": "r", "is_owner": "o", "user_name": "u", "user_id": "ud", "nbf": "nbf", "exp": "exp",
    "eject_at_token_exp": "ejt",
}  # fmt: skip

Json = dict[str, Any]


class RefusedError(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, error: str, info: str, **more: Any) -> None:
        super().__init__(info)
        self.status = status
        self.body = {"error": error, "info": info, **more}


@dataclass(frozen=True)
class Fault:
    """What becomes of one call.

    `refuse` does nothing and answers with the status; `lie` does what it was asked, and answers so; `lose` does it, and
    hangs up without an answer; `hang` does nothing, and answers when the caller is gone.
    """

    how: Literal["refuse", "lie", "lose", "hang"]
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    error: str = "server-error"
    # Calls of other methods are served meanwhile.
    method: str | None = None


@dataclass(frozen=True)
class Request:
    """A call that arrived."""

    method: str
    path: str
    body: Json | None


class DailyServer:
    """The state of the service, and its address."""

    def __init__(self, key: str = "daily-key") -> None:
        self.key = key
        # A key that is right, but may not do this.
        self.forbidden_key = "daily-key-of-another-domain"
        self.refusal = "the API key is not valid"
        self.rooms: dict[str, Json] = {}
        self.requests: list[Request] = []
        self.faults: deque[Fault] = deque()
        # Whether expired rooms are shown until they are collected; they cannot be changed either way.
        self.shows_expired = False
        self.lock = threading.Lock()
        self.is_over = threading.Event()
        self.url = ""

    def calls(self) -> list[str]:
        """Return the calls since it was asked last, each as its method and whether it named a room."""
        with self.lock:
            found = [f"{one.method} {re.sub('(?<=rooms/).+', ':name', one.path)}" for one in self.requests]
            self.requests.clear()
        return found

    def expire(self, name: str) -> None:
        """Let the time of a room be over."""
        self.rooms[name]["config"]["exp"] = int(time.time()) - 1

    def may_enter(self, name: str, token: str | None, at: float) -> bool:
        """Say whether somebody with this token, or none, gets into a room at a time."""
        room = self.rooms.get(name)
        if room is None or not _is_open(room["config"], at):
            return False
        if room["privacy"] == "public":
            return True
        if token is None:
            return False
        payload = self.payload(token)
        return payload.get("r") in (None, name) and _is_open(payload, at)

    # ------------------------------------------------------------------------------------------------------------------
    # The calls of the reference
    # ------------------------------------------------------------------------------------------------------------------

    def answer(self, method: str, path: str, authorization: str | None, body: Json | None) -> Json:
        """Do what is asked, or refuse it."""
        self._require_key(authorization)
        match method, path.split("/"):
            case "POST", ["rooms"]:
                result = self._create_room(body or {})
            case "GET", ["rooms"]:
                shown = [room for room in self.rooms.values() if self._is_there(room)]
                result = {"total_count": len(shown), "data": shown[::-1][:100]}
            case "GET", ["rooms", name]:
                result = self._room(name)
            case "POST", ["rooms", name]:
                result = self._update_room(name, body or {})
            case "DELETE", ["rooms", name]:
                result = self._delete_room(name)
            case "POST", ["meeting-tokens"]:
                result = {"token": self._token((body or {}).get("properties", {}))}
            case "GET", ["meeting-tokens", token]:
                result = self.payload(token)
            case _:
                raise RefusedError(404, "not-found", "no such endpoint")
        return result

    def _require_key(self, authorization: str | None) -> None:
        if authorization is None or not authorization.startswith("Bearer "):
            raise RefusedError(400, "authorization-header-error", "bad Authorization header format")
        key = authorization.removeprefix("Bearer ")
        if key == self.forbidden_key:
            raise RefusedError(403, "forbidden-error", "forbidden")
        if key != self.key:
            raise RefusedError(401, "authentication-error", self.refusal)

    def _is_there(self, room: Json) -> bool:
        return self.shows_expired or not _is_expired(room)

    def _room(self, name: str) -> Json:
        room = self.rooms.get(name)
        if room is None or not self._is_there(room):
            raise RefusedError(404, "not-found", f"room {name} not found")
        return room

    def _create_room(self, body: Json) -> Json:
        _require_known(body, {"name", "privacy", "properties"})
        name = body.get("name", uuid.uuid4().hex[:20])
        if not isinstance(name, str) or re.search(r"[^A-Za-z0-9_-]", name) or not 1 <= len(name) <= 128:
            raise _invalid("bad name")
        config = _room_properties(body.get("properties", {}))
        if name in self.rooms:
            raise _invalid(f"a room named {name} already exists")
        self.rooms[name] = {
            "id": str(uuid.uuid4()), "name": name, "api_created": True, "privacy": _privacy(body, "public"),
            "url": f"{DOMAIN}/{name}", "created_at": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()),
            "config": config,
        }  # fmt: skip
        return self.rooms[name]

    def _update_room(self, name: str, body: Json) -> Json:
        _require_known(body, {"privacy", "properties"})
        room = self._room(name)
        if _is_expired(room):
            raise _invalid(f"room {name} has expired")
        config = _room_properties(body.get("properties", {}))
        room["privacy"] = _privacy(body, room["privacy"])
        room["config"].update(config)
        return room

    def _delete_room(self, name: str) -> Json:
        room = self.rooms.pop(name, None)
        if room is None:
            raise RefusedError(404, "not-found", f"room {name} not found")
        if _is_expired(room):
            raise RefusedError(404, "not-found", f"room {name} not found", deleted=True)
        return {"deleted": True, "name": name}

    # ------------------------------------------------------------------------------------------------------------------
    # Tokens
    # ------------------------------------------------------------------------------------------------------------------

    def _token(self, properties: Json) -> str:
        _require_known(properties, set(TOKEN_PROPERTIES))
        payload = {TOKEN_PROPERTIES[name]: value for name, value in properties.items()} | {"iat": int(time.time())}
        head = ".".join(_base64(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, payload))
        return f"{head}.{self._signature(head)}"

    def payload(self, token: str) -> Json:
        """Return what a token of this service says; refuse any other."""
        head, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature, self._signature(head)):
            raise _invalid("bad token")
        said: Json = json.loads(base64.urlsafe_b64decode(head.split(".")[1] + "=="))
        return said

    def _signature(self, head: str) -> str:
        return _base64(hmac.digest(self.key.encode(), head.encode(), hashlib.sha256))


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _invalid(info: str) -> RefusedError:
    return RefusedError(400, "invalid-request-error", info)


def _require_known(body: Json, known: set[str] | frozenset[str]) -> None:
    if unknown := body.keys() - known:
        raise _invalid(f"unknown parameter {min(unknown)}")


def _room_properties(properties: Json) -> Json:
    _require_known(properties, ROOM_PROPERTIES)
    for name in ("nbf", "exp"):
        if name in properties and type(properties[name]) is not int:
            raise _invalid(f"{name} must be a unix timestamp")
    if properties.get("exp", time.time() + 1) <= time.time():
        raise _invalid("exp is in the past")
    return dict(properties)


def _privacy(body: Json, default: str) -> str:
    privacy = body.get("privacy", default)
    if privacy not in ("public", "private"):
        raise _invalid("privacy must be public or private")
    return str(privacy)


def _is_open(times: Json, at: float) -> bool:
    return bool(times.get("nbf", 0) <= at < times.get("exp", float("inf")))


def _is_expired(room: Json) -> bool:
    return bool(room["config"].get("exp", float("inf")) <= time.time())


@contextmanager
def daily_server() -> Iterator[DailyServer]:
    """Serve on a free port of 127.0.0.1."""
    service = DailyServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with service.lock:
                fault = next((one for one in service.faults if one.method in (None, self.command)), None)
                if fault is not None:
                    service.faults.remove(fault)
            if fault is not None and fault.how == "hang":
                service.is_over.wait(10)
                self.close_connection = True
                return
            status, body, headers = self._answer(content, is_done=fault is None or fault.how != "refuse")
            if fault is not None and fault.how == "lose":
                self.close_connection = True
                return
            if fault is not None:
                status, headers = fault.status, fault.headers
                body = {"error": fault.error, "info": "told so by the test"}
            self._write(status, body, headers)

        def _answer(self, content: bytes, *, is_done: bool) -> tuple[int, Json, dict[str, str]]:
            try:
                body = json.loads(content) if content else None
            except ValueError:
                return 400, {"error": "json-parsing-error", "info": "no JSON"}, {}
            with service.lock:
                path = self.path.removeprefix("/v1/").partition("?")[0]
                service.requests.append(Request(self.command, path, body))
                if not is_done:
                    return 500, {}, {}
                try:
                    return 200, service.answer(self.command, path, self.headers.get("Authorization"), body), {}
                except RefusedError as refused:
                    return refused.status, refused.body, {}

        def _write(self, status: int, body: Json, headers: dict[str, str]) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = _serve

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing: tests read `requests`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    service.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        service.is_over.set()
        server.shutdown()
        server.server_close()
        thread.join()
