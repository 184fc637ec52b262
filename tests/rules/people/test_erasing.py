"""Erasing a person: their words are in no table any more, and everything else still holds."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from bookingdb.checks import verify
from tests.support import TOMORROW, World, run, wait_until_blocked
from tests.support.connections import LEVELS, in_level
from tests.support.interleaving import holding, session_of, waiting
from tests.support.life import call, require_sound, rows
from tests.support.races import ENDINGS, writing
from tests.support.refusals import nothing_written, outcome, refused
from tests.support.words import WORDS, dump, found, live


def erase(world: World, person: UUID, *kept: str) -> Any:
    return call(world.connection, "erase_person", user_id=person, keep=list(kept))


def test_no_word_of_an_erased_person_is_in_a_dump(world: World) -> None:
    client = live(world)
    copies = world.count("bookingdb.rewritten_records")
    before = world.run("select id, kind, amount, balance_after from bookingdb.ledger order by id")
    erased = erase(world, client)

    assert found(world) == set()
    assert (erased["person_id"], erased["kept"], erased["left_over"]) == (client, [], [])
    assert world.run("select id, kind, amount, balance_after from bookingdb.ledger order by id") == before
    require_sound(world)
    # The superuser's change was on record before, and nothing new is.
    assert [finding.group for finding in verify.verify(world.connection)] == ["rewritten records"]
    assert world.count("bookingdb.rewritten_records") == copies
    assert world.run("select is_active, email, full_name from users where id = %s", client) == [(False, None, None)]
    assert world.run("select payload from bookingdb.outbox where event = 'person.erased'") == [
        ({"person_id": str(client), "kept": []},)
    ]
    # The reference is still there, and leads to no words.
    session = world.scalar("select id from sessions")
    steps = rows(world.connection, "explain_session", session_id=session)
    changes = [step["details"]["changes"] for step in steps if step["source"] == "audit"]
    assert {"title": {"old": None, "new": None}} in changes
    assert changes[0] == {}


def test_superuser_erases_without_a_copy(world: World) -> None:
    client = live(world)
    copies = world.count("bookingdb.rewritten_records")
    with world.connect(user=world.superuser) as superuser:
        run(superuser, "select erase_person(%s)", client)
    assert found(world) == set()
    assert world.count("bookingdb.rewritten_records") == copies


@pytest.mark.parametrize(
    ("kept", "stays"),
    [
        (["identity"], {"name", "email"}),
        (["payments"], {"adjusted", "payment", "rewritten"}),
        (["records"], {"title", "old_title", "notes", "type", "cancelled", "reopened", "legacy", "adopted"}),
        (["records", "identity", "payments"], set(WORDS) - {"key", "event"}),
    ],
)
def test_kinds_of_data_that_are_kept_stay(world: World, kept: list[str], stays: set[str]) -> None:
    client = live(world)
    assert erase(world, client, *kept)["kept"] == sorted(kept)
    assert found(world) == stays
    require_sound(world)
    # A later call keeps less, and never more.
    assert erase(world, client, "identity")["kept"] == (["identity"] if "identity" in kept else [])
    assert erase(world, client, *kept)["kept"] == (["identity"] if "identity" in kept else [])
    assert found(world) == ({"name", "email"} if "identity" in kept else set())
    erase(world, client)
    assert found(world) == set()
    require_sound(world)


def test_erasing_again_is_harmless(world: World) -> None:
    client = live(world)
    first = erase(world, client)
    before = dump(world)
    assert erase(world, client) == first
    assert dump(world) == before
    # Words that came since go, too.
    call(world.connection, "adjust_credits", user_id=client, amount=-1, reason=WORDS["adjusted"])
    assert found(world) == {"adjusted"}
    erase(world, client)
    assert found(world) == set()


def test_words_of_others_stay(world: World) -> None:
    client, other = live(world), world.client(credits=3)
    session = world.book(other, world.therapist(), title="Flusspferd", notes="Gnu")["id"]
    world.run("update sessions set title = 'Elch' where id = %s", session)
    call(world.connection, "adjust_credits", user_id=other, amount=1, reason="Lemur")
    erase(world, client)
    others = {word: word for word in ("Flusspferd", "Gnu", "Elch", "Lemur")}
    assert found(world, others) == set(others)


def test_merged_ids_are_erased_with_the_person(world: World) -> None:
    client, into = live(world), world.client()
    world.run(
        "insert into bookingdb.merged_people (from_user_id, into_user_id, kind, reason, actor)"
        " values (%s, %s, 'merge', 'Marabu', 'owner')", client, into,
    )  # fmt: skip
    assert erase(world, client)["person_id"] == into
    assert found(world, {**WORDS, "merged": "Marabu"}) == set()
    assert world.run("select person_id from bookingdb.erasures order by 1") == sorted([(client,), (into,)])


def test_person_with_sessions_to_come_or_holds_is_in_use(world: World) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    session = world.book(client, therapist)["id"]
    for person in (client, therapist):
        with refused("person_in_use") as refusal:
            erase(world, person)
        assert refusal.detail["session_id"] == str(session)
    call(world.connection, "cancel_session", session_id=session)
    hold = call(world.connection, "hold_slot", user_id=client, therapist_id=therapist, session_date=TOMORROW,
                session_time="12:00")["id"]  # fmt: skip
    with refused("person_in_use") as refusal:
        erase(world, client)
    assert refusal.detail["hold_id"] == str(hold)
    call(world.connection, "release_hold", hold_id=hold)
    erase(world, client)
    erase(world, therapist)
    require_sound(world)


def test_nobody_is_not_found(world: World) -> None:
    for function in ("erase_person", "export_person"):
        with refused("user_not_found"):
            call(world.connection, function, user_id=uuid4())
    with refused("invalid_parameter") as refusal:
        erase(world, world.client(), "everything")
    assert refusal.detail["choices"] == ["identity", "payments", "records"]


def test_therapist_is_erased_and_their_clients_words_stay(world: World) -> None:
    therapist = world.scalar("select register_therapist('grace@example.org', 'Grace Quoll')")
    client = world.client(credits=2)
    session = world.book(client, therapist, notes="Zwergspitzmaus")["id"]
    call(world.connection, "cancel_session", session_id=session)
    other = world.book(client, therapist, "12:00")["id"]
    with world.connection.transaction():
        world.run("select act_as(%s)", therapist)
        world.run("select cancel_session(%s, 'Dugong')", other)
    monday = '[{"weekday": 1, "start_time": "09:00", "end_time": "17:00"}]'
    world.run("select set_weekly_hours(%s, %s)", therapist, monday)
    world.run("select set_policy('{\"slot_step_minutes\": 20}', %s)", therapist)
    world.run("select add_time_off(%s, now(), now() + interval '1 day', 'Numbat')", therapist)
    erase(world, therapist)

    words = {word: word for word in ("Quoll", "grace@example.org", "Numbat", "Dugong", "Zwergspitzmaus")}
    assert found(world, words) == {"Zwergspitzmaus"}
    for table in ("weekly_hours", "therapists_with_hours"):
        assert world.count(f"bookingdb.{table}") == 0
    assert world.scalar("select count(*) from bookingdb.policies where therapist_id is not null") == 0
    require_sound(world)
    assert verify.verify(world.connection) == []


# ----------------------------------------------------------------------------------------------------------------------
# Evidence
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "update bookingdb.ledger set reason = null where reason is not null",
        "update bookingdb.texts set text = null",
        "update booking_audit_log set changes = '{}' where changes <> '{}'",
        "delete from bookingdb.texts",
    ],
)
def test_owner_blanks_no_evidence_without_an_erasure(world: World, statement: str) -> None:
    live(world)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="is refused"):
        world.run(statement)


def test_erasure_opens_nothing_but_what_it_takes(world: World) -> None:
    client = live(world)
    erase(world, client)
    call(world.connection, "adjust_credits", user_id=client, amount=1, reason="a word")
    for statement in (
        "update bookingdb.ledger set reason = 'another' where reason = 'a word'",
        "update bookingdb.ledger set reason = null, amount = 2 where reason = 'a word'",
        "update booking_audit_log set actor = 'somebody'",
        "update booking_audit_log set changes = '{}' where changes <> '{}'",
        "update bookingdb.texts set column_name = 'x'",
        "delete from bookingdb.ledger",
        "update bookingdb.erasures set kept = '{records}'",
        "delete from bookingdb.erasures",
        "truncate bookingdb.erasures",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="is refused"):
            world.run(statement)
    # It took what was there. What came since needs another one.
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="is refused"):
        world.run("update bookingdb.ledger set reason = null where reason = 'a word'")


def test_erasure_that_is_planted_is_done(world: World) -> None:
    client = live(world)
    world.run("insert into bookingdb.erasures (person_id, actor) values (%s, 'nobody')", client)
    assert found(world) == set()
    other = world.client(credits=1)
    world.book(other, world.therapist())
    with refused("person_in_use"):
        world.run("insert into bookingdb.erasures (person_id, actor) values (%s, 'nobody')", other)


def problems(world: World) -> list[str]:
    return [finding.problem for finding in verify.verify(world.connection) if finding.group == "contents"]


def test_verify_finds_words_of_the_erased(world: World) -> None:
    client = live(world)
    erase(world, client)
    assert problems(world) == []
    call(world.connection, "adjust_credits", user_id=client, amount=1, reason="a word")
    assert problems(world) == ["has people whose name, address or words are in tables all the same"]
    erase(world, client)
    assert problems(world) == []
    world.run("update users set full_name = 'Quoll' where id = %s", client)
    assert problems(world) == ["has people whose name, address or words are in tables all the same"]


@pytest.mark.parametrize(
    "statement", ["update bookingdb.texts set text = null", "delete from bookingdb.texts where text = 'Nacktmull'"]
)
def test_verify_finds_words_that_went_without_an_erasure(world: World, statement: str) -> None:
    """A row of evidence that was changed while no trigger looked; with one it is refused, or on record."""
    live(world)
    assert problems(world) == []
    with world.connect(user=world.superuser) as superuser:
        run(superuser, "set session_replication_role = replica")
        run(superuser, statement)
    assert problems(world) == ["lacks words that the audit log refers to, and no erasure that took them is on record"]


# ----------------------------------------------------------------------------------------------------------------------
# Others at the same moment
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_erasure_with_an_old_snapshot_is_busy(world: World, level: str) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    with world.connect() as one:
        with one.transaction():
            run(one, f"set transaction isolation level {level}")
            run(one, "select 1 from users")
            session = world.book(client, therapist)["id"]
            with refused("busy"), one.transaction():
                run(one, "select erase_person(%s)", client)
        call(world.connection, "cancel_session", session_id=session)
        with one.transaction():
            run(one, f"set transaction isolation level {level}")
            run(one, "select erase_person(%s)", client)
    require_sound(world)


BOOK = "select id from create_session_with_credit_deduction(%s, %s, %s, '10:00')"
ERASE = "select erase_person(%s)"


def test_erasure_waits_for_a_booking_and_is_refused(world: World) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    with holding(world) as one, session_of(world) as two:
        run(one, BOOK, client, therapist, TOMORROW)
        erasure = waiting(world, lambda connection: run(connection, ERASE, client), two)
        one.execute("commit")
        with refused("person_in_use"):
            erasure.result()
    require_sound(world)


def test_erasure_waits_for_a_session_that_came_meanwhile(world: World) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    with holding(world) as one, holding(world) as another, session_of(world) as two:
        run(one, "select from users where id = %s for no key update", client)
        erasure = waiting(world, lambda connection: run(connection, ERASE, client), two)
        session = world.book(client, therapist)["id"]
        run(another, "select from sessions where id = %s for update", session)
        one.execute("commit")
        wait_until_blocked(world.connection, two.info.backend_pid)
        run(another, "select cancel_session(%s, 'Nacktmull')", session)
        another.execute("commit")
        erasure.result()
    assert found(world, {"cancelled": "Nacktmull"}) == set()
    require_sound(world)


@pytest.mark.parametrize("row", ["sessions", "users"])
def test_erasure_that_starts_over_lets_the_next_one_pass(world: World, row: str) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    ids = {"sessions": world.book(client, therapist)["id"], "users": client}
    call(world.connection, "cancel_session", session_id=ids["sessions"])
    with session_of(world) as one, session_of(world) as two, session_of(world) as three, holding(world) as another:
        run(one, "select pg_advisory_lock(bookingdb.person_key(%s))", client)
        erasure = waiting(world, lambda connection: run(connection, ERASE, client), two)
        # The next one waits for what the erasure has locked, and comes first once the erasure lets it go.
        statement = f"update {row} set updated_at = now() where id = %s"
        following = waiting(world, lambda connection: run(connection, statement, ids[row]), three)
        later = run(one, BOOK, client, therapist, TOMORROW)[0][0]
        run(another, "select from sessions where id = %s for update", later)
        run(one, "select pg_advisory_unlock(bookingdb.person_key(%s))", client)
        following.result()
        run(another, "select cancel_session(%s)", later)
        another.execute("commit")
        erasure.result()
    require_sound(world)


def test_erasure_that_holds_the_person_waits_for_no_session(world: World) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    # It is over, and so its writer waits for nobody.
    insert = (
        "insert into sessions (user_id, therapist_id, start_time, end_time, status)"
        " values (%s, %s, now() - interval '1 day', now() - interval '23 hours', 'completed') returning id"
    )
    with holding(world) as one, session_of(world) as two, session_of(world) as three:
        run(one, "select from user_credits where user_id = %s for update", client)
        erasure = waiting(world, lambda connection: run(connection, ERASE, client), two)
        session = world.scalar(insert, client, therapist)
        reopening = waiting(world, lambda connection: call(connection, "reopen_session", session_id=session), three)
        one.execute("commit")
        assert (outcome(erasure.result), outcome(reopening.result)) == ("busy", "done")
    world.run(ERASE, client)
    require_sound(world)


def test_booking_waits_for_an_erasure_and_is_refused(world: World) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    with holding(world) as one, session_of(world) as two:
        run(one, ERASE, client)
        booking = waiting(world, lambda connection: run(connection, BOOK, client, therapist, TOMORROW), two)
        one.execute("commit")
        with refused("user_not_found"):
            booking.result()
    require_sound(world)


def test_erasure_waits_for_a_cancellation_and_takes_its_words(world: World) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    session = world.book(client, therapist)["id"]
    with holding(world) as one, session_of(world) as two:
        run(one, "select cancel_session(%s, 'Nacktmull')", session)
        erasure = waiting(world, lambda connection: run(connection, ERASE, client), two)
        one.execute("commit")
        erasure.result()
    assert found(world, {"cancelled": "Nacktmull"}) == set()
    require_sound(world)


MERGE = "select merge_clients(%s, %s, 'Marabu')"


def test_erasure_takes_an_id_that_was_merged_meanwhile(world: World) -> None:
    client, into = live(world), world.client()
    with holding(world) as one, session_of(world) as two:
        run(one, MERGE, client, into)
        erasure = waiting(world, lambda connection: run(connection, ERASE, into), two)
        one.execute("commit")
        erasure.result()
    assert found(world, {**WORDS, "merged": "Marabu"}) == set()
    require_sound(world)


def test_erasure_takes_who_somebody_became_meanwhile(world: World) -> None:
    client, into = live(world), world.client()
    call(world.connection, "adjust_credits", user_id=into, amount=1, reason="Lemur")
    with holding(world) as one, session_of(world) as two:
        run(one, MERGE, client, into)
        erasure = waiting(world, lambda connection: run(connection, ERASE, client), two)
        one.execute("commit")
        erasure.result()
    assert found(world, {**WORDS, "merged": "Marabu", "other": "Lemur"}) == set()
    assert world.scalar("select not is_active from users where id = %s", into)
    require_sound(world)


def test_merge_with_an_old_snapshot_of_the_erasure_is_busy(world: World) -> None:
    client, into = live(world), world.client()
    with world.connect() as one, refused("busy"), one.transaction():
        run(one, "set transaction isolation level repeatable read")
        run(one, "select 1 from users")
        world.run(MERGE, client, into)
        run(one, ERASE, into)
    erase(world, into)
    assert found(world) == set()


# ----------------------------------------------------------------------------------------------------------------------
# What comes after an erasure
# ----------------------------------------------------------------------------------------------------------------------


def came_back(world: World, person: UUID) -> None:
    world.run("update users set is_active = true where id = %s", person)


def test_person_who_came_back_and_took_in_another_is_erased(world: World) -> None:
    person = world.client()
    erase(world, person)
    came_back(world, person)
    client = live(world)
    world.run(MERGE, client, person)
    assert erase(world, person)["person_id"] == person
    assert found(world, {**WORDS, "merged": "Marabu"}) == set()
    assert problems(world) == []


def test_data_is_kept_though_a_merged_id_was_erased(world: World) -> None:
    old = world.client()
    call(world.connection, "adjust_credits", user_id=old, amount=1, reason="Lemur")
    erase(world, old)
    client = live(world)
    world.run(MERGE, old, client)
    kept = ["identity", "payments", "records"]
    assert erase(world, client, *kept)["kept"] == kept
    assert found(world, {**WORDS, "other": "Lemur"}) == set(WORDS) - {"key", "event"}
    assert problems(world) == []


def test_evidence_of_a_person_who_came_back_is_kept(world: World) -> None:
    client = live(world)
    first = erase(world, client)
    came_back(world, client)
    call(world.connection, "adjust_credits", user_id=client, amount=1, reason="a word")
    world.run("update users set full_name = 'Quoll' where id = %s", client)
    assert problems(world) == []
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="is refused"):
        world.run("update bookingdb.ledger set reason = null where reason = 'a word'")
    second = erase(world, client)
    assert second["erased_at"] > first["erased_at"]
    assert found(world, {"ledger": "a word", "name": "Quoll"}) == set()
    assert problems(world) == []
    require_sound(world)


def test_planted_erasure_of_a_merged_id_is_the_persons(world: World) -> None:
    client, into = live(world), world.client(credits=1)
    world.run(MERGE, client, into)
    plant = "insert into bookingdb.erasures (person_id, actor, created_at) values (%s, 'nobody', now() + '1 day')"
    session = world.book(into, world.therapist())["id"]
    with refused("person_in_use"):
        world.run(plant, client)
    call(world.connection, "cancel_session", session_id=session, reason="Lemur")
    world.run(plant, client)
    assert found(world, {**WORDS, "merged": "Marabu", "other": "Lemur"}) == set()
    assert world.scalar("select not is_active from users where id = %s", into)
    assert world.scalar("select bool_and(created_at <= clock_timestamp()) from bookingdb.erasures")
    require_sound(world)


def test_planted_audit_row_opens_no_adoption(world: World) -> None:
    client, other = live(world), world.client()
    session = world.scalar("select id from sessions")
    world.run(
        "insert into booking_audit_log (session_id, user_id, action, old_status, new_status, actor)"
        " values (%s, %s, 'updated', 'completed', 'completed', 'owner')", session, other,
    )  # fmt: skip
    erase(world, other)
    assert found(world) == set(WORDS)
    erase(world, client)
    assert found(world) == set()


def test_words_that_come_to_an_erased_therapist_are_found(world: World) -> None:
    therapist = world.therapist()
    erase(world, therapist)
    world.run("select add_time_off(%s, now(), now() + interval '1 day', 'Numbat')", therapist)
    assert problems(world) == ["has people whose name, address or words are in tables all the same"]
    erase(world, therapist)
    assert found(world, {"reason": "Numbat"}) == set()
    assert problems(world) == []


def test_request_whose_time_has_come_lapses(world: World) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    session = world.book(client, therapist, notes="Lemur")["id"]
    until = "approval_until = now() - interval '1 minute'"
    world.run(f"update sessions set status = 'pending_approval', {until} where id = %s", session)
    erase(world, client)
    assert world.scalar("select status from sessions where id = %s", session) == "cancelled"
    assert found(world, {"notes": "Lemur"}) == set()
    require_sound(world)


# ----------------------------------------------------------------------------------------------------------------------
# The reason of a cancellation
# ----------------------------------------------------------------------------------------------------------------------


def cancelled_by(world: World, session: UUID, person: UUID | None, reason: str) -> None:
    with world.connection.transaction():
        world.run("select act_as(%s)", person)
        world.run("select cancel_session(%s, %s)", session, reason)


def test_reason_is_of_whoever_wrote_it_last(world: World) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    session = world.book(client, therapist)["id"]
    cancelled_by(world, session, therapist, "Dugong")
    call(world.connection, "reopen_session", session_id=session, reason="x")
    call(world.connection, "cancel_session", session_id=session, reason="Lemur")
    erase(world, therapist)
    assert found(world, {"theirs": "Dugong", "client's": "Lemur"}) == {"client's"}
    assert world.scalar("select cancellation_reason from sessions where id = %s", session) == "Lemur"
    assert problems(world) == []


def test_reason_stays_with_its_therapist_after_a_transfer(world: World) -> None:
    client, therapist, other = world.client(credits=2), world.therapist(), world.therapist()
    session = world.book(client, therapist)["id"]
    cancelled_by(world, session, therapist, "Dugong")
    world.run("update sessions set therapist_id = %s where id = %s", other, session)
    erase(world, other)
    assert found(world, {"theirs": "Dugong"}) == {"theirs"}
    erase(world, therapist)
    assert found(world, {"theirs": "Dugong"}) == set()
    assert problems(world) == []


# ----------------------------------------------------------------------------------------------------------------------
# Payments, transfers, and what an application has besides
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "delete from user_credits where user_id = %s",
        "update user_credits set payment_reference = null where user_id = %s",
    ],
)
def test_payment_without_a_lot_is_the_clients(world: World, statement: str) -> None:
    client, other = world.client(), world.client()
    for person, payment in ((client, WORDS["payment"]), (other, "pi_Lemur")):
        call(world.connection, "grant_credits", user_id=person, amount=5, payment_reference=payment)
    call(world.connection, "revoke_grant", payment_reference=WORDS["payment"], reason="Numbat")
    world.run(statement, client)
    assert [payment["payment_reference"] for payment in export(world, client)["payments"]] == [WORDS["payment"]]
    erase(world, client)
    words = {"payment": WORDS["payment"], "reason": "Numbat", "other": "pi_Lemur"}
    assert found(world, words) - {"reason"} == {"other"}
    assert world.run("select payment_reference from bookingdb.payments order by 1") == [("pi_Lemur",), (None,)]
    # Where the lot is gone, the payment may be granted anew.
    if statement.startswith("delete"):
        assert call(world.connection, "grant_credits", user_id=other, amount=5, payment_reference=WORDS["payment"])


GRANT = "select * from grant_credits(%s, 5, 'pi_Numbat')"


def test_payment_whose_reference_was_erased_never_grants_again(world: World) -> None:
    client, other = world.client(), world.client()
    ((lot, *_),) = world.run(GRANT, client)
    erase(world, client)
    assert found(world, {"payment": "pi_Numbat"}) == set()
    with nothing_written(world), refused("idempotency_key_reused"):
        world.run(GRANT, other)
    with nothing_written(world), pytest.raises(psycopg.IntegrityError):
        world.run(
            "insert into user_credits (user_id, user_type, credits_balance, payment_reference)"
            " values (%s, 'user', 5, 'pi_Numbat')", other,
        )  # fmt: skip
    # A chargeback still finds what it bought, and a dispute that was won does.
    revoked = call(world.connection, "revoke_grant", payment_reference="pi_Numbat", remember=True)
    assert (revoked["lot_id"], revoked["credits_revoked"], revoked["is_remembered"]) == (lot, 5, False)
    assert world.run("select revoked_share from bookingdb.payments") == [(1,)]
    assert call(world.connection, "reinstate_grant", payment_reference="pi_Numbat")["credits_reinstated"] == 5
    assert found(world, {"payment": "pi_Numbat"}) == set()
    world.run("delete from user_credits where id = %s", lot)
    assert world.run("select lot_id from bookingdb.payments") == [(None,)]
    require_sound(world)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("ending", ENDINGS)
def test_grant_meets_the_erasure_of_its_payment(world: World, level: str, ending: str) -> None:
    client, other = world.client(), world.client()
    world.run(GRANT, client)
    with holding(world) as one, session_of(world) as two:
        run(one, ERASE, client)
        # The reference that is about to go is found by its key, without a wait.
        grant = partial(in_level, level, writing(GRANT, other), two)
        assert outcome(grant) == "idempotency_key_reused"
        one.execute(ending.encode())
        assert outcome(grant) == "idempotency_key_reused"
    require_sound(world)


def export(world: World, person: UUID) -> Any:
    return world.scalar("select export_person(%s)", person)


def passed_on(world: World) -> tuple[UUID, UUID]:
    giver, receiver = world.client(credits=3), world.client(credits=7)
    call(world.connection, "transfer_credits", from_user_id=giver, to_user_id=receiver, amount=2, reason="Numbat",
         idempotency_key="a key")  # fmt: skip
    call(world.connection, "transfer_credits", from_user_id=giver, to_user_id=world.client(), amount=1, reason="Lemur")
    return giver, receiver


@pytest.mark.parametrize("place", [0, 1])
def test_reason_of_a_transfer_goes_with_either_client(world: World, place: int) -> None:
    people = passed_on(world)
    erase(world, people[place])
    assert found(world, {"first": "Numbat", "second": "Lemur"}) == ({"second"} if place else set())
    erase(world, people[1 - place])
    assert found(world, {"first": "Numbat", "second": "Lemur"}) == set()
    assert problems(world) == []
    require_sound(world)


def test_export_of_a_transfer_has_nothing_of_the_other_client(world: World) -> None:
    giver, receiver = passed_on(world)
    lots = [str(lot) for (lot,) in world.run("select id from user_credits where user_id = %s", receiver)]
    held = export(world, giver)
    text = str(held["idempotency_keys"]) + str(held["ledger"])
    assert [each for each in [str(receiver), *lots] if each in text] == []
    assert "result" not in held["idempotency_keys"][0]
    assert len([entry for entry in held["ledger"] if entry["kind"] == "transfer"]) == 2


def test_export_of_a_rewritten_record_names_nobody_else(world: World) -> None:
    client, other = live(world), world.client()
    with world.connect(user=world.superuser) as superuser:
        run(superuser, "update bookingdb.ledger set user_id = %s, reason = 'Lemur' where kind = 'debit'", other)
    text = str(export(world, client)["rewritten_records"])
    assert (str(other) in text, "Lemur" in text, str(client) in text) == (False, False, True)


def test_columns_of_an_own_log_that_stay_are_named(world: World) -> None:
    client = live(world)
    world.run("alter table booking_audit_log add note text not null default '', add tags text[], add remark text")
    try:
        left = erase(world, client)["left_over"]
    finally:
        world.run("alter table booking_audit_log drop note, drop tags, drop remark")
    assert left == ["public.booking_audit_log.note", "public.booking_audit_log.tags"]
