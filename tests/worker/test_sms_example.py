"""The receiver of text messages of the examples: it sends to who agreed, once, in their language and zone."""

from __future__ import annotations

import importlib
import json
import time
from types import ModuleType
from typing import Any
from uuid import uuid4

import httpx
import pytest
from psycopg.types.json import Jsonb

from bookingdb.worker.webhook import signed_headers
from tests.support import World
from tests.support.deliveries import SECRET, claim, webhook


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("SMS_SIGNING", SECRET)
    return importlib.reload(importlib.import_module("examples.sms_receiver"))


async def post(receiver: ModuleType, id_: str, body: Any, secret: str = SECRET) -> int:
    content = json.dumps(body).encode()
    headers = signed_headers(id_, content, [secret], int(time.time()))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(receiver.app)) as client:
        answer = await client.post("http://sms.example/send", content=content, headers=headers)
    return answer.status_code


def body_of(world: World, **contact: Any) -> Any:
    """The body of an event about a session in winter, whose client has this contact."""
    client = world.client(credits=1)
    contact = {**contact, "person_id": client, "consents": Jsonb(contact["consents"])}
    columns, values = ", ".join(contact), ", ".join(["%s"] * len(contact))
    world.run(f"insert into bookingdb.contacts ({columns}) values ({values})", *contact.values())
    webhook(world.connection, "sms", "session.*", with_context=True, channel="sms")
    session = world.book(client, world.therapist(), "10:00")
    (claimed,) = claim(world.connection)
    assert claimed["body"]["context"]["session"]["id"] == str(session["id"])
    # A day of the clocks of winter, whenever this runs.
    claimed["body"]["context"]["session"]["start_time"] = "2030-01-07T09:30:00Z"
    return {**claimed["body"], "type": "session.reminder"}


AGREED = {"phone": "+4915112345678", "time_zone": "Europe/Berlin", "language": "de", "consents": {"sms": True}}


async def test_text_is_sent_once_in_the_clients_words(clean_world: World, receiver: ModuleType) -> None:
    body, id_ = body_of(clean_world, **AGREED), str(uuid4())

    assert [await post(receiver, id_, body) for _ in range(2)] == [204, 204]
    assert receiver.sent == [("+4915112345678", "Ihr Termin ist um 10:30 Uhr.")]
    assert await post(receiver, str(uuid4()), body, "whsec_" + "b3RoZXIh" * 4) == 401


async def test_text_goes_to_nobody_who_did_not_agree(clean_world: World, receiver: ModuleType) -> None:
    body = body_of(clean_world, **{**AGREED, "consents": {}})

    assert await post(receiver, str(uuid4()), body) == 204
    assert receiver.sent == []
