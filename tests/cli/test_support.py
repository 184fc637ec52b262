"""The commands of a support person, and e-mail addresses where a command takes a person."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import Any
from uuid import UUID

import click
import pytest
from rich.cells import cell_len

from bookingdb.cli.options import PERSON
from tests.support import TOMORROW, World
from tests.support.commands import COMMANDS, answer, bookingdb, done
from tests.support.life import begin, close_window

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


def test_address_that_is_not_found_says_whose_it_is(clean_world: World, people: dict[str, UUID]) -> None:
    slot = ("--date", TOMORROW, "--time", "10:00")
    therapist = bookingdb(clean_world.url, "credits", "balance", "grace@example.com")
    assert "grace@example.com is the address of a therapist." in therapist.stderr
    client = bookingdb(clean_world.url, "slots", "ada@example.com", "--json")
    assert json.loads(client.stdout)["error"]["hint"] == "ada@example.com is the address of a client."
    for kind, address in (("client", "ada@example.com"), ("therapist", "grace@example.com")):
        done(clean_world.url, "deactivate", kind, address)
        book = ("book", "--user", "ada@example.com", "--therapist", "grace@example.com", *slot)
        told = bookingdb(clean_world.url, *book).stderr
        assert f"{address} is a {kind} who was deactivated: `bookingdb activate {kind} {address}`" in told
        done(clean_world.url, "activate", kind, address)


def test_no_id_and_no_address_says_that_both_will_do(clean_world: World) -> None:
    given = ("book", "--user", "ada", "--therapist", UUID(int=1), "--date", TOMORROW, "--time", "10:00")
    assert "Give an id, a UUID, or an e-mail address." in bookingdb(clean_world.url, *given).stderr


def test_grant_says_that_it_was_made_before(clean_world: World, people: dict[str, UUID]) -> None:
    grant = ("credits", "grant", "ada@example.com")
    for given, first in (
        (("--payment-reference", "pi_3"), False), (("--idempotency-key", "a"), True), ((), True),
    ):  # fmt: skip
        for is_new in (first, not given):
            told = done(clean_world.url, *grant, 3, *given).stdout
            assert ("granted before: nothing was added." in told) is not is_new
    again = done(clean_world.url, *grant, 3, "--payment-reference", "pi_3", "--json")
    assert json.loads(again.stdout)["lot_balance"] == 3
    assert "This payment was granted before" in again.stderr
    other = bookingdb(clean_world.url, *grant, 4, "--payment-reference", "pi_3").stderr
    assert "granted before, with another amount or to another client" in other
    assert "Idempotency key" not in other


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
    assert f'owner booked {day} 10:00-11:00 with "Grace Hopper" for "Ada Lovelace".' in told
    assert f'It took 1 credit from lot {lot} (payment "pi_3").' in told
    assert f"owner moved it from {day} 10:00 to {day} 14:00." in told
    assert f'It gave back 1 credit to lot {lot} (payment "pi_3").' in told
    assert "owner cancelled it" in told
    # An id can be copied from a terminal of 80 columns.
    assert any(str(lot) in line for line in printed.splitlines())
    assert max(map(len, printed.splitlines())) <= 80


def test_explain_says_everything_that_a_move_changed(clean_world: World, people: dict[str, UUID]) -> None:
    session = booked(clean_world, people)
    to = ("reschedule", session, "--date", TOMORROW, "--time")
    done(clean_world.url, *to, "14:00", "--duration", 90)
    done(clean_world.url, *to, "14:00", "--duration", 30)
    done(clean_world.url, *to, "08:00", "--time-zone", "America/New_York")

    told = " ".join(done(clean_world.url, "explain", session).stdout.split())
    day = f"{TOMORROW:%a} {TOMORROW.day} {TOMORROW:%b %Y}"
    assert f"moved it from {day} 04:00 to {day} 08:00, with 90 minutes instead of 60." in told
    assert "moved it with 30 minutes instead of 90." in told
    assert "moved it in the zone America/New_York instead of Europe/Berlin." in told


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
    assert "The login owner gave back, as goodwill, 1 credit to lot" in told
    assert '"Her train was late."' in told
    done(clean_world.url, "reopen", session, "--reason", "She was there.")
    told = " ".join(done(clean_world.url, "explain", session).stdout.split())
    assert 'owner reopened it: "She was there."' in told
    done(clean_world.url, "no-show", session)
    done(clean_world.url, "refund", session, "--reason", "At last")
    assert bookingdb(clean_world.url, "refund", session, "--reason", "again").exit_code == 1
    assert bookingdb(clean_world.url, "refund", session).exit_code == 2


def test_story_of_a_deleted_session_is_told(clean_world: World, people: dict[str, UUID]) -> None:
    session = booked(clean_world, people)
    clean_world.run("delete from sessions where id = %s", session)
    told = " ".join(done(clean_world.url, "explain", session).stdout.split())
    assert "owner deleted it." in told
    assert 'with "Grace Hopper"' in told
    # The time is the session's still, and the therapist's where no event says which that was.
    assert "times in Europe/Berlin" in told
    clean_world.run("delete from bookingdb.outbox")
    assert "times in UTC" in " ".join(done(clean_world.url, "explain", session).stdout.split())
    clean_world.run("""select set_policy('{"time_zone": "Europe/Paris"}')""")
    assert "times in Europe/Paris" in " ".join(done(clean_world.url, "explain", session).stdout.split())


@pytest.mark.parametrize("refund", [False, True])
def test_story_says_what_a_cancellation_cost(clean_world: World, people: dict[str, UUID], refund: bool) -> None:
    session = booked(clean_world, people)
    if not refund:
        close_window(clean_world.connection, session)
    done(clean_world.url, "--as", people["ada"], "cancel", session)
    told = story(clean_world, session)
    assert ("That was late: cancelling was free until" in told) is not refund
    assert ("The credit was kept." in told) is not refund
    assert ("cancelled it. It gave back 1 credit to lot" in told) is refund
    if not refund:
        done(clean_world.url, "refund", session, "--reason", "ill")
        assert "The login owner gave back 1 credit to lot" in story(clean_world, session)


def test_answers_show_one_clock(clean_world: World, people: dict[str, UUID]) -> None:
    """Times for people are local, to the minute, and name their zone; JSON is exact."""
    world = clean_world
    done(world.url, "policy", "set", "--time-zone", "Europe/Berlin", "--record-refusals", "yes")
    done(world.url, "hours", "set", "grace@example.com", "mon-sun 12:00-20:00")
    slot = ("--user", people["ada"], "--therapist", people["grace"], "--date", TOMORROW, "--time", "10:00")
    assert bookingdb(world.url, "book", *slot).exit_code == 1
    span = ("--from", "2020-01-01", "--to", "2999-01-01")
    for words in (("history",), ("statement", *span)):
        printed = done(world.url, "credits", words[0], people["ada"], *words[1:]).stdout
        assert re.search(r" 20\d\d-\d\d-\d\d \d\d:\d\d(:\d\d)? Europe/Berlin ", printed)
        assert not re.search(r"\d\.\d|\d[+]00:00", printed)
    assert "+00:00" in answer(world.url, "credits", "history", people["ada"])[0]["created_at"]
    held = ("--time", "13:00", "--user", "ada@example.com", "--therapist", "grace@example.com", "--date", TOMORROW)
    session = answer(world.url, "book", *held[:1], "14:00", *held[2:])["id"]
    done(world.url, "hold", *held)
    shows: list[tuple[object, ...]] = [("holds",), ("session", session)]
    for command in shows:
        printed = done(world.url, *command).stdout
        assert f"{TOMORROW} 1" in printed
        assert re.search(r" 20\d\d-\d\d-\d\d \d\d:\d\d(:\d\d)? Europe/Berlin", printed)
        assert not re.search(r"\d\.\d|\d[+]00:00", printed)
    printed = done(world.url, "refusals", people["ada"]).stdout
    assert f"next_free: {TOMORROW} 12:00 Europe/Berlin" in printed
    assert f"start_time: {TOMORROW} 10:00 Europe/Berlin" in printed
    assert re.search(r" 20\d\d-\d\d-\d\d \d\d:\d\d(:\d\d)? Europe/Berlin +owner ", printed)


def test_refusals_say_where_none_are_recorded(clean_world: World, people: dict[str, UUID]) -> None:
    none = done(clean_world.url, "refusals", people["ada"]).stdout
    assert "None. Refusals are not recorded" in none
    assert "policy set --record-refusals yes" in none
    done(clean_world.url, "policy", "set", "--record-refusals", "yes")
    assert done(clean_world.url, "refusals", people["ada"]).stdout == "None.\n"


def story(world: World, session: UUID) -> str:
    return " ".join(done(world.url, "explain", session).stdout.split())


def test_story_quotes_what_people_chose(clean_world: World, people: dict[str, UUID]) -> None:
    """No name, address, reason or reference passes for a sentence of ours."""
    world = clean_world
    name = 'Mallory. "Grace Hopper" cancelled it: the therapist is ill. \u201dNobody\\'
    quoted = r'"Mallory. \"Grace Hopper\" cancelled it: the therapist is ill. ' + '\\\u201dNobody\\\\"'
    world.run("update users set full_name = %s where id = %s", name, people["ada"])
    world.run("update users set full_name = null where id = %s", people["grace"])
    world.run("update user_credits set payment_reference = 'pi). Grace moved it. ('")
    session = booked(world, people)
    world.run("select set_policy('{\"record_refusals\": true}')")
    assert bookingdb(world.url, "complete", session).exit_code == 1
    with world.connect() as connection, connection.transaction():
        connection.execute("select act_as(%s)", [people["ada"]])
        connection.execute("select cancel_session(%s, 'Ill. Grace: agreed')", [session])
    told = story(world, session)
    assert told.count(quoted) == told.count("Mallory") == 3
    assert 'with "grace@example.com"' in told
    assert '(payment "pi). Grace moved it. (")' in told
    assert f'{quoted} cancelled it: "Ill. Grace: agreed".' in told


def test_story_leaves_quoted_words_as_they_are(clean_world: World, people: dict[str, UUID]) -> None:
    session = booked(clean_world, people)
    for words, end in (("...", '"..."'), ("She asked to", '"She asked to".'), ("one  two.", '"one  two."')):
        done(clean_world.url, "cancel", session, "--refund", "--reason", words)
        printed = done(clean_world.url, "explain", session).stdout
        assert f"login owner cancelled it: {end} It gave back" in printed.replace("\n  ", " ")
        done(clean_world.url, "reopen", session)


def test_story_fits_a_terminal_of_80_columns(clean_world: World, people: dict[str, UUID]) -> None:
    """Wide characters and long words are broken; an id is not."""
    world = clean_world
    world.run("update users set full_name = %s where id = %s", "\u5f20" * 60, people["ada"])
    world.run("update users set full_name = %s where id = %s", "\u674e\u56db " * 20, people["grace"])
    other = UUID(int=7, version=4)
    world.run("update user_credits set payment_reference = %s", f"{'p' * 60}{other}{'q' * 100}")
    lot = world.scalar("select id from user_credits")
    lines = done(world.url, "explain", booked(world, people)).stdout.splitlines()
    assert max(map(cell_len, lines)) <= 80
    assert all(any(str(whole) in line for line in lines) for whole in (other, lot))
    told = "".join(line.strip() for line in lines)
    for whole in ("\u5f20" * 60, "p" * 60 + str(other) + "q" * 100):
        assert f'"{whole}"' in told


def test_refusals_name_their_actors(clean_world: World, people: dict[str, UUID]) -> None:
    world, ada = clean_world, people["ada"]
    done(world.url, "policy", "set", "--record-refusals", "yes", "--minimum-notice", "30d")
    slot = ("--user", ada, "--therapist", people["grace"], "--date", TOMORROW, "--time", "10:00")
    assert bookingdb(world.url, "--as", ada, "book", *slot).exit_code == 1
    assert bookingdb(world.url, "book", *slot).exit_code == 1
    printed = done(world.url, "refusals", ada).stdout
    assert '"Ada Lovelace"' in printed
    assert " owner " in printed
    world.run("update users set full_name = null where id = %s", ada)
    assert '"ada@example.com"' in done(world.url, "refusals", ada).stdout
    assert [refusal["actor"] for refusal in answer(world.url, "refusals", ada)] == ["owner", str(ada)]
    # A user sees their own, and is told of nobody.
    assert str(ada) in done(world.url, "--as", ada, "refusals", ada).stdout


def test_story_names_who_was_refused(clean_world: World, people: dict[str, UUID]) -> None:
    world = clean_world
    done(world.url, "policy", "set", "--record-refusals", "yes")
    session = booked(world, people)
    assert bookingdb(world.url, "refund", session, "--reason", "a").exit_code == 1
    assert bookingdb(world.url, "--as", people["ada"], "complete", session).exit_code == 1
    assert bookingdb(world.url, "--as", people["grace"], "complete", session).exit_code == 1
    told = story(world, session)
    assert 'owner was refused refund_session, for "Ada Lovelace": invalid_transition' in told
    assert '"Grace Hopper" was refused complete_session: invalid_transition' in told
    world.run("update bookingdb.refusals set is_claim = true")
    assert '"Grace Hopper" was refused complete_session, by their own account: invalid' in story(world, session)

    printed = done(world.url, "refusals", "ada@example.com").stdout
    assert [line.split()[3:6] for line in printed.splitlines() if "refund" in line] == [
        ["owner", "yes", "refund_session"]
    ]


def test_story_says_why_a_session_was_transferred(clean_world: World, people: dict[str, UUID]) -> None:
    world = clean_world
    other = world.scalar("select register_therapist('alan@example.com', 'Alan Turing')")
    session = booked(world, people)
    done(world.url, "transfer", session, other, "--reason", "Grace is ill.")
    assert 'owner gave it to "Alan Turing": "Grace is ill."' in story(world, session)


def test_story_says_which_rules_were_overridden(clean_world: World, people: dict[str, UUID]) -> None:
    world = clean_world
    done(world.url, "hours", "set", "grace@example.com", "mon-sun 12:00-20:00")
    done(world.url, "policy", "set", "--minimum-notice", "30d")
    slot = ("--user", people["ada"], "--therapist", people["grace"], "--date", TOMORROW)
    rules = ("--override", "hours", "--override", "minimum_notice")
    session = answer(world.url, "book", *slot, "--time", "10:00", *rules)["id"]
    told = story(world, session)
    assert 'for "Ada Lovelace", without regard to hours and minimum_notice. Cancelling is free until' in told
    day = f"{TOMORROW:%a} {TOMORROW.day} {TOMORROW:%b %Y}"
    done(world.url, "reschedule", session, "--date", TOMORROW, "--time", "09:00", *rules)
    assert f"to {day} 09:00, without regard to hours and minimum_notice." in story(world, session)
    done(world.url, "reschedule", session, "--date", TOMORROW, "--time", "13:00", *rules)
    assert f"to {day} 13:00, without regard to minimum_notice." in story(world, session)


def test_story_says_what_was_recorded_in_hindsight(clean_world: World, people: dict[str, UUID]) -> None:
    world = clean_world
    slot = ("--user", people["ada"], "--therapist", people["grace"], "--date", TOMORROW - dt.timedelta(days=8))
    session = answer(world.url, "record", *slot, "--time", "10:00", "--status", "no_show")["id"]
    told = story(world, session)
    assert 'with "Grace Hopper" for "Ada Lovelace" as no_show, in hindsight. It took 1 credit' in told
    assert "owner recorded" in told
    assert "Cancelling is free" not in told


# ----------------------------------------------------------------------------------------------------------------------
# Messages
# ----------------------------------------------------------------------------------------------------------------------


def test_own_hold_in_the_way_is_named_with_its_command(clean_world: World, people: dict[str, UUID]) -> None:
    world = clean_world
    slot = ("--user", people["ada"], "--date", TOMORROW, "--time", "10:00")
    held = answer(world.url, "hold", *slot, "--therapist", people["grace"])["id"]
    other = world.scalar("select register_therapist('alan@example.com', null, null, 'Europe/Berlin')")
    for therapist in (people["grace"], other):
        said = bookingdb(world.url, "book", *slot, "--therapist", therapist).stderr
        assert f"`bookingdb book-hold {held}`" in said
        assert "cancel the other session" not in said
    done(world.url, "book-hold", held)
    assert "book-hold" not in bookingdb(world.url, "book", *slot, "--therapist", other).stderr


def test_message_names_the_option_and_what_is_wrong(clean_world: World, people: dict[str, UUID]) -> None:
    world = clean_world
    session = booked(world, people)
    said = bookingdb(world.url, "transfer", session, people["grace"]).stderr
    assert "Invalid parameter (THERAPIST; reason: same_therapist)." in said
    slot = ("--user", people["ada"], "--therapist", people["grace"], "--time", "10:00")
    said = bookingdb(world.url, "record", *slot, "--date", TOMORROW).stderr
    assert "Invalid parameter (--date; reason: to_come; start time: " in said
    assert "p_" not in said
    # A program knows the parameter by its own name.
    answered = bookingdb(world.url, "transfer", session, people["grace"], "--json").stdout
    assert json.loads(answered)["error"]["detail"]["parameter"] == "p_therapist_id"
    said = bookingdb(world.url, "credits", "grant", people["ada"], 0, "--payment-reference", "a").stderr
    assert "(AMOUNT; maximum: 10000; minimum: 1)" in said
    said = bookingdb(world.url, "policy", "set", "--retention-days", "0").stderr
    assert "(--retention-days; " in said


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
