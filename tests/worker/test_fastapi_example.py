"""The FastAPI application of the examples, served by uvicorn: it delivers its own events."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import httpx

from tests.support import ROOT, World


def wait_for(ask: Callable[[], Any]) -> Any:
    """Ask until there is an answer: the worker looks each second."""
    deadline = time.monotonic() + 30
    while not (answer := ask()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return answer


def test_fastapi_application_delivers_its_own_events(world: World) -> None:
    session = world.book(world.client(credits=1), world.therapist())["id"]
    command = [sys.executable, "-m", "uvicorn", "examples.fastapi_worker:app", "--port", "0"]
    environment = {**os.environ, "DATABASE_URL": world.url}
    running = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    try:
        said = ""
        while (found := re.search(r"http://127\.0\.0\.1:\d+", said)) is None:
            line = running.stderr.readline()
            assert line, said
            said += line
        # A destination is told of what comes after its creation, which the worker sees to in its thread.
        wait_for(lambda: world.run("select name from list_destinations()"))
        cancelled = httpx.post(f"{found[0]}/sessions/{session}/cancel").json()
        assert cancelled == {"status": "cancelled", "refunded": True}
        told = wait_for(lambda: httpx.get(f"{found[0]}/told").json())
    finally:
        running.terminate()
        _, rest = running.communicate(timeout=30)
    assert len(told) == 1
    assert told[0].startswith("session.")
    assert told[0].endswith(f" {session}")
    # It ended by itself: nothing was under way any more.
    assert "Application shutdown complete" in rest
    assert world.run("select status, attempts from list_deliveries()") == [("delivered", 1)]
