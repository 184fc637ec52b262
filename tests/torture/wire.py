"""Many connections in calls at once, from one thread, at little more than what the server itself costs.

A million calls take longer in any driver than in the server; so this one sends and reads by libpq, and decodes nothing.
"""

from __future__ import annotations

import select
import selectors
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
from psycopg.pq import DiagnosticField, ExecStatus

from tests.support import Connection, World
from tests.support.refusals import promised_code

Call = tuple[bytes, Sequence[bytes | None]]
"""A statement, or the name of a prepared one, and its parameters."""
Answer = tuple[str, list[bytes | None]]
"""How it ended: "done" or a code; and the first column."""


@contextmanager
def connections(world: World, number: int, **statements: str) -> Iterator[list[Connection]]:
    """Connections on which these statements are prepared under their names."""
    with ExitStack() as stack:
        opened = [stack.enter_context(world.connect()) for _ in range(number)]
        for connection in opened:
            for name, statement in statements.items():
                connection.pgconn.prepare(name.encode(), statement.encode())
        yield opened


def text(value: Any) -> bytes | None:
    """A parameter as Postgres reads it."""
    if value is None:
        return None
    if isinstance(value, list):
        return b"{%s}" % b",".join(b"null" if one is None else _quoted(text(one) or b"") for one in value)
    return str(value).encode()


def _quoted(value: bytes) -> bytes:
    return b'"%s"' % value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def volley(callers: Sequence[Connection], name: bytes, parameters: Sequence[Sequence[bytes | None]]) -> list[Answer]:
    """Let each make its call before anybody's answer is read; return the answers in the order of the callers."""
    for caller, own in zip(callers, parameters, strict=True):
        caller.pgconn.send_query_prepared(name, own)
    answers = []
    for caller in callers:
        while caller.pgconn.is_busy():
            select.select([caller.pgconn.socket], [], [])
            caller.pgconn.consume_input()
        answers.append(_answer(caller))
    return answers


def stream(
    callers: Sequence[Connection],
    ask: Callable[[int], Call | None],
    answered: Callable[[int, Answer], None],
    *,
    prepared: bool = False,
) -> None:
    """Let each ask as soon as it has its answer, until `ask` returns None; both functions are told who it is."""
    with selectors.DefaultSelector() as waiting:

        def send(place: int) -> None:
            if (call := ask(place)) is None:
                waiting.unregister(callers[place].pgconn.socket)
            elif prepared:
                callers[place].pgconn.send_query_prepared(*call)
            else:
                callers[place].pgconn.send_query_params(*call)

        for place, caller in enumerate(callers):
            waiting.register(caller.pgconn.socket, selectors.EVENT_READ, place)
            send(place)
        while waiting.get_map():
            for key, _ in waiting.select():
                pgconn = callers[key.data].pgconn
                pgconn.consume_input()
                if not pgconn.is_busy():
                    answered(key.data, _answer(callers[key.data]))
                    send(key.data)


def _answer(caller: Connection) -> Answer:
    result = caller.pgconn.get_result()
    assert result is not None
    while caller.pgconn.get_result() is not None:
        pass
    if result.status == ExecStatus.TUPLES_OK:
        return "done", [result.get_value(row, 0) for row in range(result.ntuples)]
    if result.status != ExecStatus.FATAL_ERROR:
        raise psycopg.OperationalError(f"neither rows nor an error: {ExecStatus(result.status).name}")
    fields = (
        DiagnosticField.SQLSTATE, DiagnosticField.MESSAGE_PRIMARY, DiagnosticField.MESSAGE_DETAIL,
        DiagnosticField.MESSAGE_HINT,
    )  # fmt: skip
    sqlstate, message, detail, hint = ((result.error_field(field) or b"").decode() for field in fields)
    if not sqlstate:
        raise psycopg.OperationalError(result.get_error_message())
    return promised_code(sqlstate, message, detail, hint), [message.encode()]
