"""The Edge Function of the examples: it has the right types, and is a whole worker."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from standardwebhooks import Webhook

from bookingdb.install.trust import trust
from tests.support import ROOT, World
from tests.support import javascript as js
from tests.support.deliveries import SECRET, webhook
from tests.support.postgrest import serving
from tests.support.receiver import Receiver, Reply, receiving

FUNCTION = ROOT / "examples" / "deliver-events" / "index.ts"
KEY = "the schedule's"


@contextmanager
def edge_function(**environment: str) -> Iterator[str]:
    """Run the function, and return its URL."""
    js.packages()
    command = [js.node(), str(js.FOLDER / "edge.mjs"), str(FUNCTION)]
    variables = {**os.environ, "WORKER_SECRET": KEY, **environment}
    running = subprocess.Popen(command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    try:
        yield running.stdout.readline().strip()
    finally:
        running.communicate()


def test_edge_function_has_the_right_types() -> None:
    compiler = js.packages() / "typescript" / "bin" / "tsc"
    command = [js.node(), str(compiler), "--project", str(js.FOLDER)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (checked.stdout, checked.returncode) == ("", 0)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def test_edge_function_is_a_whole_worker(supabase_world: World, receiver: Receiver) -> None:
    world = supabase_world
    receiver.reply = lambda _: Reply() if len(receiver.received) == 1 else Reply(503, {"retry-after": "7200"})
    trust(world.connection, "service_role", worker=True)
    webhook(world.connection, "crm", "session.*", url=receiver.url)
    session = world.book(world.client(credits=1), world.therapist())["id"]
    world.run("select id from cancel_session(%s)", session)

    with (
        serving(world.url) as project,
        edge_function(SUPABASE_URL=project.url, SUPABASE_SERVICE_ROLE_KEY=project.service.key) as url,
    ):
        assert httpx.post(url).status_code == 401
        assert receiver.received == []
        first = httpx.post(url, headers={"authorization": f"Bearer {KEY}"}, timeout=60)
        assert (first.status_code, first.json()) == (200, {"finished": 2})

    told = [json.loads(received.body)["data"] for received in receiver.received]
    assert [data["session_id"] for data in told] == 2 * [str(session)]
    for received in receiver.received:
        assert Webhook(SECRET).verify(received.body.decode(), dict(received.headers))
    listed = world.run("select status, attempts, status_code from list_deliveries() order by status")
    assert listed == [("delivered", 1, 204), ("pending", 1, 503)]
    due = "select due_at - now() between interval '119 minutes' and interval '2 hours' from bookingdb.deliveries"
    assert world.run(f"{due} where status = 'pending'") == [(True,)]


def test_edge_function_needs_the_workers_privilege(supabase_world: World, receiver: Receiver) -> None:
    webhook(supabase_world.connection, "crm", "session.*", url=receiver.url)
    supabase_world.book(supabase_world.client(credits=1), supabase_world.therapist())

    with (
        serving(supabase_world.url) as project,
        edge_function(SUPABASE_URL=project.url, SUPABASE_SERVICE_ROLE_KEY=project.service.key) as url,
    ):
        assert httpx.post(url, headers={"authorization": f"Bearer {KEY}"}, timeout=60).status_code == 500
    assert receiver.received == []
