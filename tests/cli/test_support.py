"""The commands of a support person, and e-mail addresses where a command takes a person."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import click
import pytest

from bookingdb.cli.options import PERSON
from tests.support import TOMORROW, World
from tests.support.commands import COMMANDS, answer, bookingdb, done
from tests.support.life import begin

PEOPLE = ("user", "therapist", "therapist_ids")


@pytest.fixture
def people(clean_world: World) -> dict[str, UUID]:
    world = clean_world
    ada = world.scalar("select register_client('ada@example.com', 'Ada Lovelace')")
    grace = world.scalar("select register_therapist('grace@example.com', 'Grace Hopper', null, 'Europe/Berlin')")
    world.run("select grant_credits(%s, 3, 'pi_3')", ada)
    return {"ada": ada, "grace": grace}


# ----------------------------------------------------------------------------------------------------------------------
# People
# ----------------------------------------------------------------------------------------------------------------------


def test_every_command_takes_an_address_for_a_person() -> None:
    found: dict[str, bool] = {}
    for words, command in COMMANDS.items():
        for parameter in command.params:
            if parameter.name in PEOPLE:
                found[" ".join(words)] = parameter.type is PERSON
    assert len(found) > 20
    assert [words for words, is_person in found.items() if not is_person] == []


def test_address_means_the_person_whatever_its_capitals(clean_world: World, people: dict[str, UUID]) -> None:
    given = ("--user", "ADA@Example.com", "--therapist", "Grace@example.com", "--date", TOMORROW, "--time", "10:00")
    booked = answer(clean_world.url, "book", *given)
    assert (booked["user_id"], booked["therapist_id"]) == (str(people["ada"]), str(people["grace"]))
    assert answer(clean_world.url, "credits", "balance", "ada@example.com") == {"credits_balance": 2}
    assert len(answer(clean_world.url, "sessions", "--therapist", "grace@example.com")) == 1
    assert len(answer(clean_world.url, "find", "--therapist", "grace@example.com")) == 1


def test_address_is_asked_of_the_database_of_the_command(clean_world: World, people: dict[str, UUID]) -> None:
    result = bookingdb(
        "postgresql://127.0.0.1:1/none", "credits", "balance", "ada@example.com", "--database-url", clean_world.url
    )
    assert (result.exit_code, result.stdout) == (0, "3\n"), result.output
    # It is named once.
    assert result.stderr.count("bookingdb: database") == 1


def test_address_of_nobody_is_an_error_of_the_table(clean_world: World, people: dict[str, UUID]) -> None:
    # Part of an address is none.
    for address in ("nobody@example.com", "@example.com", "ada@"):
        result = bookingdb(clean_world.url, "credits", "balance", address, "--json")
        assert result.exit_code == 1
        error = json.loads(result.stdout)["error"]
        assert error["code"] == "user_not_found"
        assert address in error["hint"]
    result = bookingdb(clean_world.url, "slots", "nobody@example.com", "--json")
    assert json.loads(result.stdout)["error"]["code"] == "therapist_not_found"


def test_address_of_two_people_names_both(clean_world: World, people: dict[str, UUID]) -> None:
    """As in an adopted database, where no index keeps them apart."""
    clean_world.run("drop index users_email_key")
    try:
        other = clean_world.scalar("insert into users (email) values ('Ada@example.com') returning id")
        result = bookingdb(clean_world.url, "credits", "balance", "ada@example.com")
        assert result.exit_code == 1
        assert str(other) in result.stderr
        assert str(people["ada"]) in result.stderr
        clean_world.run("delete from users where id = %s", other)
    finally:
        clean_world.run("create unique index users_email_key on public.users (lower(email))")


def test_id_costs_no_look_up(clean_world: World, people: dict[str, UUID], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("it was looked up")

    monkeypatch.setattr("bookingdb.cli.options.person_id", fail)
    assert answer(clean_world.url, "credits", "balance", people["ada"]) == {"credits_balance": 3}
    assert bookingdb(clean_world.url, "credits", "balance", "ada").exit_code == 1


# ----------------------------------------------------------------------------------------------------------------------
# Stories
# ----------------------------------------------------------------------------------------------------------------------


def booked(world: World, people: dict[str, UUID]) -> UUID:
    session: UUID = world.book(people["ada"], people["grace"])["id"]
    return session


def test_explain_tells_the_story_in_local_time(clean_world: World, people: dict[str, UUID]) -> None:
    session = booked(clean_world, people)
    done(clean_world.url, "reschedule", session, "--date", TOMORROW, "--time", "14:00")
    done(clean_world.url, "cancel", session, "--reason", "ill")
    lot = clean_world.scalar("select id from user_credits")

    printed = done(clean_world.url, "explain", session).stdout
    told = " ".join(printed.split())
    day = f"{TOMORROW:%a} {TOMORROW.day} {TOMORROW:%b %Y}"
    assert f"Session {session}, times in Europe/Berlin" in told
    assert f"owner booked {day} 10:00-11:00 with Grace Hopper for Ada Lovelace." in told
    assert f"It took 1 credit from lot {lot} (pi_3)." in told
    assert f"owner moved it from {day} 10:00 to {day} 14:00." in told
    assert f"It gave back 1 credit to lot {lot} (pi_3)." in told
    assert "owner cancelled it" in told
    # An id can be copied from a terminal of 80 columns.
    assert any(str(lot) in line for line in printed.splitlines())
    assert max(map(len, printed.splitlines())) <= 80


def test_explain_prints_the_steps_as_json(clean_world: World, people: dict[str, UUID]) -> None:
    steps = answer(clean_world.url, "explain", booked(clean_world, people))
    assert {(step["source"], step["what"]) for step in steps} == {
        ("ledger", "debit"), ("audit", "created"), ("event", "session.created"),
    }  # fmt: skip
    assert all(isinstance(step["details"], dict) for step in steps)


def test_refund_is_part_of_the_story(clean_world: World, people: dict[str, UUID]) -> None:
    session = booked(clean_world, people)
    begin(clean_world.connection, session, 90)
    done(clean_world.url, "no-show", session)
    refunded = answer(clean_world.url, "refund", session, "--reason", "Her train was late.")
    assert (refunded["status"], refunded["refunded"], refunded["credits_balance"]) == ("no_show", True, 3)
    told = " ".join(done(clean_world.url, "explain", session).stdout.split())
    assert "owner said that the client did not come." in told
    assert "owner: As goodwill it gave back 1 credit to lot" in told
    assert "Her train was late." in told
    done(clean_world.url, "reopen", session, "--reason", "She was there.")
    told = " ".join(done(clean_world.url, "explain", session).stdout.split())
    assert "owner reopened it: She was there." in told
    done(clean_world.url, "no-show", session)
    done(clean_world.url, "refund", session, "--reason", "At last")
    assert bookingdb(clean_world.url, "refund", session, "--reason", "again").exit_code == 1
    assert bookingdb(clean_world.url, "refund", session).exit_code == 2


def test_story_of_a_deleted_session_is_told(clean_world: World, people: dict[str, UUID]) -> None:
    session = booked(clean_world, people)
    clean_world.run("delete from sessions where id = %s", session)
    told = " ".join(done(clean_world.url, "explain", session).stdout.split())
    assert "owner deleted it." in told
    assert "with Grace Hopper" in told


# ----------------------------------------------------------------------------------------------------------------------
# Refusals
# ----------------------------------------------------------------------------------------------------------------------


def test_refusal_of_a_command_is_listed(clean_world: World, people: dict[str, UUID]) -> None:
    done(clean_world.url, "policy", "set", "--record-refusals", "yes")
    done(clean_world.url, "policy", "set", "--therapist", "grace@example.com", "--minimum-notice", "30d")
    slot = ("--user", "ada@example.com", "--therapist", "grace@example.com", "--date", TOMORROW, "--time", "10:00")
    assert bookingdb(clean_world.url, "book", *slot).exit_code == 1

    (refusal,) = answer(clean_world.url, "refusals", "ada@example.com", "--from", "2020-01-01")
    assert (refusal["code"], refusal["rule"]) == ("too_soon", "minimum_notice")
    printed = done(clean_world.url, "refusals", "ada@example.com").stdout
    assert "too_soon" in printed
    assert "minimum_notice" in printed
    assert answer(clean_world.url, "refusals", "ada@example.com", "--to", "2020-01-01") == []
    assert done(clean_world.url, "refusals", "grace@example.com").stdout == "None.\n"


def test_help_of_every_person_says_what_it_takes() -> None:
    for words, command in COMMANDS.items():
        for parameter in command.params:
            if isinstance(parameter, click.Argument) and parameter.type is PERSON:
                assert "UUID or e-mail" in (command.help or ""), words
