"""The commands act as a user with --as, and refuse it where they act as nobody."""

from __future__ import annotations

import importlib
import inspect
import json
from uuid import uuid4

import pytest

from bookingdb.cli.commands import COMMANDS as PLACES
from tests.support import TOMORROW, World
from tests.support.commands import COMMANDS, answer, bookingdb
from tests.support.life import close_window

# Commands that make no calls.
OWNERS = {
    "adopt", "export", "lint", "local psql-url", "local reset", "local start", "local status", "local stop", "migrate",
    "selftest", "status", "time-zones refresh", "trust", "uninstall", "verify", "worker",
}  # fmt: skip


@pytest.fixture
def world(clean_world: World) -> World:
    return clean_world


def test_command_acts_as_a_user(world: World) -> None:
    client, other, therapist = world.client(credits=3), world.client(credits=3), world.therapist()
    session = world.book(client, therapist)["id"]
    close_window(world.connection, session)

    refused = bookingdb(world.url, "--as", other, "cancel", session)
    assert refused.exit_code == 1
    assert refused.stderr.splitlines()[-1].startswith("bookingdb: not_allowed: ")
    assert answer(world.url, "--as", client, "cancel", session)["refunded"] is False
    assert answer(world.url, "--as", other, "sessions") == []
    assert [listed["id"] for listed in answer(world.url, "--as", client, "sessions")] == [str(session)]
    when = ("--therapist", therapist, "--date", TOMORROW, "--time", "15:00")
    assert answer(world.url, "--as", other, "book", "--user", other, *when)["user_id"] == str(other)
    assert answer(world.url, "sessions", "--user", other)
    actors = {actor for (actor,) in world.run("select distinct actor from booking_audit_log")}
    assert actors == {world.owner, str(client), str(other)}
    assert world.violations() == []


def test_refusal_because_of_as_says_so(world: World) -> None:
    client = world.client()
    plain = bookingdb(world.url, "--as", client, "credits", "grant", client, 5)
    assert plain.exit_code == 1
    assert "With --as the command may do what that user may" in plain.stderr
    error = json.loads(bookingdb(world.url, "--as", client, "credits", "grant", client, 5, "--json").stdout)["error"]
    assert (error["code"], error["status"]) == ("not_allowed", 403)
    assert "With --as" in error["hint"]
    assert world.balance(client) == 0


@pytest.mark.parametrize("user", ["", "ada", "0"])
def test_as_takes_a_uuid(world: World, user: str) -> None:
    result = bookingdb(world.url, "--as", user, "sessions")
    assert result.exit_code == 1
    assert "invalid_user_id" in result.stderr


def test_command_without_a_call_refuses_as() -> None:
    """Every other command makes calls, and so acts as the user."""
    refusing = set()
    for words, command in COMMANDS.items():
        given = ["x"] * sum(p.required for p in command.params if p.param_type_name == "argument")
        result = bookingdb("service=none", "--as", str(uuid4()), *words, *given)
        if "acts as no user: leave --as out." in result.stderr:
            assert result.exit_code == 2
            refusing.add(" ".join(words))
        else:
            module = importlib.import_module(f"bookingdb.cli.{PLACES[words[0]][0].partition(':')[0]}")
            assert "Bookings(" in inspect.getsource(module), words
    assert refusing == OWNERS


def test_as_and_database_are_named_before_or_after_the_command(world: World) -> None:
    client = world.client(credits=3)
    world.book(client, world.therapist())
    nowhere = "postgresql://127.0.0.1:1/none"
    for arguments in (("--as", client, "sessions"), ("sessions", "--as", client), ("sessions", f"--as={client}")):
        for words in (("--database-url", world.url, *arguments), (*arguments, "--database-url", world.url)):
            assert [listed["user_id"] for listed in answer(nowhere, *words)] == [str(client)]
    # The nearer database counts; of users there is one.
    assert answer(nowhere, "--database-url", nowhere, "credits", "balance", client, "--database-url", world.url)
    twice = bookingdb(world.url, "--as", client, "sessions", "--as", uuid4())
    assert (twice.exit_code, "Give --as once." in twice.stderr) == (2, True)
    grant = bookingdb(world.url, "credits", "grant", client, 5, "--as", client)
    assert "With --as the command may do what that user may" in grant.stderr
    for words in (("status",), ("time-zones", "refresh")):
        assert "acts as no user: leave --as out." in bookingdb(world.url, *words, "--as", client).stderr


def test_database_of_the_local_server_is_not_named(world: World) -> None:
    result = bookingdb(world.url, "--database-url", world.url, "local", "status")
    assert (result.exit_code, "leave --database-url out" in result.stderr) == (2, True)
