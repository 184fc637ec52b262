"""The real clients of Supabase, made alike: supabase-py, with and without asyncio, and supabase-js.

A call is a list of steps, each the name of a method of supabase-js and its arguments; `ask` says what came of it::

    client.ask(server.url, server.user(id), [("from", "sessions"), ("select", "id"), ("eq", "status", "scheduled")])
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import httpx
import supabase
from postgrest.exceptions import APIError

from tests.support import javascript
from tests.support.postgrest import Login

Steps = Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Answer:
    """What the client returned or raised, and the HTTP status with its reason phrase."""

    status: int
    reason: str
    data: Any
    # code, message, details and hint; None when there was no error.
    error: dict[str, Any] | None

    @property
    def code(self) -> str:
        """The code of an error: ours where DETAIL has one, else what the answer calls its code; "" without an error."""
        if self.error is None:
            return ""
        if (self.error["code"] or "").startswith("PT"):
            return str(json.loads(self.error["details"])["code"])
        return str(self.error["code"])


@dataclass(frozen=True)
class Example:
    """What a block of JavaScript printed, and its `data` and `error`, where it has variables of these names."""

    printed: str
    data: Any
    error: dict[str, Any] | None


class Client(Protocol):
    def ask(self, url: str, login: Login, steps: Steps) -> Answer: ...

    def close(self) -> None: ...


class SupabasePy:
    """supabase-py, for one thread."""

    def __init__(self) -> None:
        self._responses: list[httpx.Response] = []
        # Nothing is encrypted here, and reading the certificates of the machine takes longer than a test.
        self._http = httpx.Client(event_hooks={"response": [self._responses.append]}, verify=False, timeout=60)

    def ask(self, url: str, login: Login, steps: Steps) -> Answer:
        options = supabase.ClientOptions(headers=_headers(login), httpx_client=self._http)
        client = supabase.create_client(url, login.key, options)
        try:
            data, error = _built(client, steps).execute().data, None
        except APIError as refusal:
            data, error = None, refusal
        return _answer(self._responses.pop(), data, error)

    def close(self) -> None:
        self._http.close()


class AsyncSupabasePy:
    """supabase-py for asyncio."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._responses: list[httpx.Response] = []
        self._http = httpx.AsyncClient(event_hooks={"response": [self._remember]}, verify=False, timeout=60)

    async def _remember(self, response: httpx.Response) -> None:
        self._responses.append(response)

    def ask(self, url: str, login: Login, steps: Steps) -> Answer:
        return self._runner.run(self._ask(url, login, steps))

    async def _ask(self, url: str, login: Login, steps: Steps) -> Answer:
        options = supabase.AsyncClientOptions(headers=_headers(login), httpx_client=self._http)
        client = await supabase.create_async_client(url, login.key, options)
        try:
            data, error = (await _built(client, steps).execute()).data, None
        except APIError as refusal:
            data, error = None, refusal
        return _answer(self._responses.pop(), data, error)

    def close(self) -> None:
        self._runner.run(self._http.aclose())
        self._runner.close()


class SupabaseJs:
    """supabase-js, in one process of Node.js that answers until `close`."""

    def __init__(self) -> None:
        javascript.packages()
        self._node = subprocess.Popen(
            [javascript.node(), str(javascript.FOLDER / "calls.mjs")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._lock = threading.Lock()

    def close(self) -> None:
        self._node.communicate()

    def ask(self, url: str, login: Login, steps: Steps) -> Answer:
        return self.ask_all(url, login, [steps])[0]

    def ask_all(self, url: str, login: Login, calls: Sequence[Steps]) -> list[Answer]:
        """Make all calls at once."""
        request = {"url": url, "key": login.key, "token": login.token, "calls": calls}
        assert self._node.stdin
        assert self._node.stdout
        with self._lock:
            self._node.stdin.write(json.dumps(request, default=str) + "\n")
            self._node.stdin.flush()
            answers = json.loads(self._node.stdout.readline())
        return [Answer(each["status"], each["statusText"], each["data"], each["error"]) for each in answers]


def run_example(url: str, login: Login, code: str, variables: dict[str, Any]) -> Example:
    """Run a block of a document with supabase-js: it sees `supabase`, a client of the login, and the variables.

    Raises:
        subprocess.CalledProcessError: the code throws; stderr says where.
    """
    javascript.packages()
    request = {"url": url, "key": login.key, "token": login.token, "code": code, "variables": variables}
    command = [javascript.node(), str(javascript.FOLDER / "example.mjs")]
    process = subprocess.run(
        command, input=json.dumps(request, default=str), text=True, stdout=subprocess.PIPE, check=True
    )
    return Example(**json.loads(process.stdout))


def _headers(login: Login) -> dict[str, str]:
    return {"Authorization": f"Bearer {login.token}"} if login.token else {}


def _built(client: Any, steps: Steps) -> Any:
    """The query of supabase-py for the steps of supabase-js: options are keywords there."""
    for step in json.loads(json.dumps(steps, default=str)):
        match step:
            case ["from", table]:
                client = client.from_(table)
            case ["order", column, {"ascending": ascending}]:
                client = client.order(column, desc=not ascending)
            case ["rpc", function, arguments, options]:
                client = client.rpc(function, arguments, **options)
            case [method, *values]:
                client = getattr(client, method)(*values)
    return client


def _answer(response: httpx.Response, data: Any, error: APIError | None) -> Answer:
    fields = ("code", "message", "details", "hint")
    seen = {name: getattr(error, name) for name in fields} if error else None
    return Answer(response.status_code, response.reason_phrase, data, seen)
