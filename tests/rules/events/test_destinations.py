"""Destinations: what they must have, who reads their secrets, and how these change."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support import World, run
from tests.support.callers import acting
from tests.support.databases import on_todays_supabase
from tests.support.deliveries import SECRET, claim, drain, webhook
from tests.support.hosts import Host
from tests.support.life import call, rows

WEBHOOK = {"kind": "webhook", "settings": {"url": "https://crm.example/hook"}, "secrets": {"signing": [SECRET]}}


def refusal(world: World, **wrong: Any) -> tuple[str, dict[str, Any]]:
    """The error of a destination that is a good webhook but for this, and its DETAIL."""
    terms = {"name": "crm", **WEBHOOK, **wrong}
    parameters = {name: Jsonb(value) if isinstance(value, dict) else value for name, value in terms.items()}
    with pytest.raises(psycopg.Error) as error:
        call(world.connection, "set_destination", **parameters)
    assert rows(world.connection, "list_destinations") == []
    detail = error.value.diag.message_detail or "{}"
    return error.value.sqlstate or "", run(world.connection, "select %s::jsonb", detail)[0][0]


@pytest.mark.parametrize(
    ("wrong", "parameter"),
    [
        ({"name": "A b"}, "p_name"),
        ({"name": "x" * 64}, "p_name"),
        ({"name": None}, "p_name"),
        ({"kind": "Web hook"}, "p_kind"),
        ({"events": ["session.bookd"]}, "p_events"),
        ({"events": [None]}, "p_events"),
        ({"events": ["session.created"]}, "p_events"),
        ({"settings": {}}, "p_settings"),
        ({"settings": {"url": "ftp://crm.example/"}}, "p_settings"),
        ({"settings": {"url": "https://ada:secret@crm.example/"}}, "p_settings"),
        ({"settings": {"url": "https://crm.example/\n"}}, "p_settings"),
        ({"settings": {"url": "https://crm.example/", "password": "x"}}, "p_settings"),
        ({"settings": {"url": "https://crm.example/", "note": "x" * 10_000}}, "p_settings"),
        ({"secrets": {}}, "p_secrets"),
        ({"secrets": {"signing": []}}, "p_secrets"),
        ({"secrets": {"signing": SECRET}}, "p_secrets"),
        ({"secrets": {"signing": ["whsec_short"]}}, "p_secrets"),
        ({"kind": "calendar"}, "p_settings"),
        ({"kind": "calendar", "settings": {"therapist_id": "nobody"}}, "p_settings"),
        ({"kind": "pager", "settings": {"every_minutes": "often"}}, "p_settings"),
        ({"kind": "pager", "settings": {"every_minutes": 0}}, "p_settings"),
    ],
)
def test_destination_that_nothing_can_be_sent_to_is_refused(
    world: World, wrong: dict[str, Any], parameter: str
) -> None:
    state, detail = refusal(world, **wrong)

    assert (state, detail["parameter"]) == ("PT400", parameter)
    assert SECRET not in str(detail)


@pytest.mark.parametrize("document", ["[]", '"text"', "null"])
def test_settings_are_an_object(world: World, document: str) -> None:
    for parameter in ("settings", "secrets"):
        with pytest.raises(psycopg.Error) as error:
            world.run(f"select set_destination('crm', 'pager', p_{parameter} => %s::jsonb)", document)
        assert error.value.sqlstate == "PT400"


def test_kind_of_a_destination_stays(world: World) -> None:
    webhook(world.connection, "crm")

    with pytest.raises(psycopg.Error, match="Invalid parameter"):
        call(world.connection, "set_destination", name="crm", kind="mail")


def test_environment_variable_stands_for_url_and_secret(world: World) -> None:
    settings = Jsonb({"url_env": "CRM_URL", "signing_env": "CRM_SECRET"})

    made = call(world.connection, "set_destination", name="crm", kind="webhook", settings=settings)

    assert made["secret_names"] == []


def test_secrets_are_in_no_answer_but_a_claim(world: World) -> None:
    webhook(world.connection, "crm")
    call(world.connection, "test_destination", name="crm")

    shown = [*rows(world.connection, "list_destinations"), *rows(world.connection, "list_deliveries")]
    shown += rows(world.connection, "deliveries_status")

    assert SECRET not in str(shown)
    assert SECRET in str(claim(world.connection))


@on_todays_supabase
def test_only_a_worker_gets_secrets(hosted_world: World, host: Host) -> None:
    with acting(hosted_world, "authenticator", "service_role") as server:
        webhook(server, "crm")
        call(server, "test_destination", name="crm")
        for read in ("select * from public.claim_deliveries()", "select * from bookingdb.claim_deliveries()"):
            with pytest.raises(psycopg.Error, match="Not allowed"):
                run(server, read)
        for table in ("destinations", "deliveries", "contacts"):
            with pytest.raises(psycopg.Error) as error:
                run(server, f"select * from bookingdb.{table}")
            assert error.value.sqlstate == "42501"
        # Nobody helps themselves to the privilege.
        with pytest.raises(psycopg.Error) as error:
            run(server, "grant execute on function bookingdb.work_deliveries() to service_role")
        assert error.value.sqlstate == "42501"


def test_rotation_ends_before_another_begins(world: World) -> None:
    """A receiver that knows the first secret alone would be lost by the third."""
    webhook(world.connection, "crm")
    second, third = SECRET[:-1] + "A", SECRET[:-1] + "Q"
    call(world.connection, "rotate_secret", name="crm", secret=second)

    with pytest.raises(psycopg.Error) as error:
        call(world.connection, "rotate_secret", name="crm", secret=third)

    assert "end it first" in (error.value.diag.message_hint or "")
    assert world.scalar("select secrets -> 'signing' from bookingdb.destinations") == [second, SECRET]
    call(world.connection, "rotate_secret", name="crm", secret=None)
    call(world.connection, "rotate_secret", name="crm", secret=third)


def test_deliveries_go_with_their_destination(world: World) -> None:
    webhook(world.connection, "crm")
    call(world.connection, "test_destination", name="crm")

    assert call(world.connection, "remove_destination", name="crm")["remove_destination"]

    assert world.count("bookingdb.deliveries") == 0


def test_finished_fetch_is_due_again_later(world: World) -> None:
    therapist = world.therapist()
    call(
        world.connection, "set_destination", name="google", kind="calendar",
        settings=Jsonb({"therapist_id": str(therapist), "every_minutes": 30}),
        secrets=Jsonb({"url": "https://calendar.example/secret.ics"}),
    )  # fmt: skip

    fetched = drain(world.connection)

    assert [(delivery["type"], delivery["subject_id"]) for delivery in fetched] == [
        ("calendar.fetch", fetched[0]["subject_id"])
    ]
    (listed,) = rows(world.connection, "list_deliveries", status="pending")
    waits = listed["due_at"] - world.scalar("select clock_timestamp()")
    assert 1790 < waits.total_seconds() <= 1800


def test_sender_finds_what_it_kept(world: World) -> None:
    webhook(world.connection, "crm")
    call(world.connection, "test_destination", name="crm")
    (claimed,) = claim(world.connection)
    call(
        world.connection, "finish_delivery",
        delivery_id=claimed["id"], token=claimed["token"], outcome="delivered", state=Jsonb({"etag": "1"}),
    )  # fmt: skip
    call(world.connection, "test_destination", name="crm")

    assert [delivery["state"] for delivery in claim(world.connection)] == [{"etag": "1"}]


def test_erasure_takes_what_receivers_said_of_a_person(world: World) -> None:
    client = world.client()
    webhook(world.connection, "crm")
    call(world.connection, "test_destination", name="crm")
    world.run("update bookingdb.deliveries set recipient_id = %s, detail = 'ada@example.com: no mailbox'", client)

    call(world.connection, "erase_person", user_id=client)

    assert world.scalar("select detail from bookingdb.deliveries") is None


def test_housekeeping_removes_what_was_delivered_long_ago(world: World) -> None:
    webhook(world.connection, "crm")
    for _ in range(2):
        call(world.connection, "test_destination", name="crm")
    first, _ = drain(world.connection)
    world.run(
        "update bookingdb.deliveries set finished_at = finished_at - interval '10 years' where id = %s", first["id"]
    )

    assert call(world.connection, "housekeeping")["events"] == 1

    assert world.count("bookingdb.deliveries") == 1


def test_unknown_destination_is_not_found(world: World) -> None:
    for function, arguments in {
        "rotate_secret": {"name": "none", "secret": None},
        "test_destination": {"name": "none"},
        "list_deliveries": {"destination": "none"},
        "replay_deliveries": {"destination": "none"},
        "set_destination": {"name": "none", "is_enabled": True},
    }.items():
        with pytest.raises(psycopg.Error) as error:
            rows(world.connection, function, **arguments)  # type: ignore[arg-type]  # mypy joins the dictionaries
        assert error.value.sqlstate == "PT404", function


def test_delivery_of_another_destination_is_not_replayed(world: World) -> None:
    webhook(world.connection, "crm")
    webhook(world.connection, "other")
    call(world.connection, "test_destination", name="other")
    (delivery,) = drain(world.connection)

    assert call(world.connection, "replay_deliveries", destination="crm", delivery_id=delivery["id"]) == {
        "replay_deliveries": 0
    }
    assert call(world.connection, "replay_deliveries", destination="crm", delivery_id=uuid4()) == {
        "replay_deliveries": 0
    }
