"""Events become deliveries exactly once, and each line of them is sent in its order, whoever works at the same time."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support import Connection, World, run, scalar
from tests.support.deliveries import claim, drain, finish, webhook
from tests.support.interleaving import holding, session_of, waiting, waiting_or_done
from tests.support.life import call, rows

# ----------------------------------------------------------------------------------------------------------------------
# Relaying
# ----------------------------------------------------------------------------------------------------------------------


def write_event(connection: Connection, subject: UUID, event: str = "availability.changed") -> int:
    """Write an event as the engine does, and return its number."""
    statement = "insert into bookingdb.outbox (event, subject_id, payload) values (%s, %s, %s) returning id"
    return int(scalar(connection, statement, event, subject, Jsonb({"therapist_id": str(subject)})))


def events_of(world: World, delivered: list[Any]) -> list[int]:
    statement = "select event_id from bookingdb.deliveries where id = %s"
    return [world.scalar(statement, delivery["id"]) for delivery in delivered]


def test_event_reaches_each_destination_that_wants_it_once(world: World) -> None:
    webhook(world.connection, "all")
    webhook(world.connection, "holds", "hold.*")
    webhook(world.connection, "hours", "availability.changed")
    write_event(world.connection, uuid4())

    assert [call(world.connection, "relay_events")["relay_events"] for _ in range(2)] == [1, 0]

    assert sorted(delivery["destination"] for delivery in drain(world.connection)) == ["all", "hours"]
    assert world.violations() == []


def test_events_of_before_a_destination_are_none_of_its(world: World) -> None:
    write_event(world.connection, uuid4())
    webhook(world.connection, "crm")
    after = write_event(world.connection, uuid4())

    assert events_of(world, drain(world.connection)) == [after]


def test_rolled_back_change_is_told_to_nobody(world: World) -> None:
    webhook(world.connection, "crm")
    with holding(world) as other:
        write_event(other, uuid4())
        other.execute("rollback")

    assert drain(world.connection) == []


def test_transaction_left_open_delays_its_own_events_alone(world: World) -> None:
    webhook(world.connection, "crm")
    with holding(world) as other:
        early = write_event(other, uuid4())
        late = write_event(world.connection, uuid4())

        # The later id is visible first, and is delivered while the other transaction is open.
        assert early < late
        assert events_of(world, drain(world.connection)) == [late]
        other.execute("commit")

    # The smaller one is not skipped, although a greater one was handled.
    assert events_of(world, drain(world.connection)) == [early]
    assert world.violations() == []


def test_event_that_somebody_has_locked_waits_with_its_subject(world: World) -> None:
    webhook(world.connection, "crm")
    subject, another = uuid4(), uuid4()
    first, second, third = (write_event(world.connection, of) for of in (subject, subject, another))
    with holding(world) as eraser:
        run(eraser, "update bookingdb.outbox set payload = '{}' where id = %s", first)
        assert events_of(world, drain(world.connection)) == [third]
        eraser.execute("commit")

    assert events_of(world, drain(world.connection)) == [first, second]


def test_two_relays_make_one_delivery(world: World) -> None:
    webhook(world.connection, "crm")
    write_event(world.connection, uuid4())
    with holding(world) as one:
        assert call(one, "relay_events")["relay_events"] == 1
        assert call(world.connection, "relay_events")["relay_events"] == 0
        one.execute("commit")

    assert len(drain(world.connection)) == 1


def test_worker_that_keeps_its_transaction_delays_one_subject(world: World) -> None:
    webhook(world.connection, "crm")
    stuck, another = uuid4(), uuid4()
    write_event(world.connection, stuck)
    with holding(world) as worker:
        (claimed,) = claim(worker)
        worker.execute("commit")
        worker.execute("begin")
        finish(worker, claimed)
        later, free = write_event(world.connection, stuck), write_event(world.connection, another)

        assert events_of(world, drain(world.connection)) == [free]
        worker.execute("commit")

    assert events_of(world, drain(world.connection)) == [later]
    assert world.violations() == []


def test_delivery_finished_while_its_successor_is_made(world: World) -> None:
    """The successor is found, whichever of the two commits first."""
    webhook(world.connection, "crm")
    subject = uuid4()
    write_event(world.connection, subject)
    (claimed,) = claim(world.connection)
    later = write_event(world.connection, subject)
    with holding(world) as relay, session_of(world) as worker:
        assert call(relay, "relay_events")["relay_events"] == 1
        finishing = waiting(world, lambda connection: finish(connection, claimed), worker)
        relay.execute("commit")
        assert finishing.result()

    assert world.violations() == []
    assert events_of(world, drain(world.connection)) == [later]


def test_events_of_one_transaction_keep_their_order(world: World) -> None:
    webhook(world.connection, "crm")
    subject = uuid4()
    with world.connection.transaction():
        written = [write_event(world.connection, subject) for _ in range(3)]

    assert events_of(world, drain(world.connection, limit=100)) == written


def test_destination_with_the_old_names_gets_them(world: World) -> None:
    webhook(world.connection, "new", "session.*")
    webhook(world.connection, "old", "session.*", old_names=True)
    world.book(world.client(credits=1), world.therapist())

    told = {delivery["destination"]: delivery for delivery in drain(world.connection)}

    assert told["old"]["type"] == "session.created"
    assert told["old"]["body"]["data"]["new_status"] == "scheduled"


def test_mail_goes_to_each_person_apart(world: World) -> None:
    call(
        world.connection, "set_destination",
        name="mail", kind="mail", events=["session.*"], settings=Jsonb({"host": "localhost"}),
    )  # fmt: skip
    client, therapist = world.client(credits=1), world.therapist()
    world.book(client, therapist)

    claimed = claim(world.connection)

    assert {delivery["recipient_id"]: delivery["context"]["recipient"] for delivery in claimed} == {
        client: "client", therapist: "therapist",
    }  # fmt: skip
    assert claimed[0]["context"]["session"]["status"] == "scheduled"
    assert claimed[0]["context"]["client"]["id"] == str(client)


# ----------------------------------------------------------------------------------------------------------------------
# Claiming
# ----------------------------------------------------------------------------------------------------------------------


def test_subject_has_one_delivery_on_its_way_at_a_time(world: World) -> None:
    webhook(world.connection, "crm")
    subject = uuid4()
    written = [write_event(world.connection, subject) for _ in range(3)]

    sent = []
    for _ in written:
        (claimed,) = claim(world.connection)
        assert claim(world.connection) == []
        finish(world.connection, claimed)
        sent.append(claimed)

    assert events_of(world, sent) == written


def test_claim_whose_lease_ended_is_somebody_else_s(world: World) -> None:
    webhook(world.connection, "crm")
    write_event(world.connection, uuid4())
    (first,) = claim(world.connection)
    end_leases(world)
    (second,) = claim(world.connection)

    assert second["id"] == first["id"]
    assert (first["attempt"], second["attempt"]) == (1, 2)
    # The late answer of the first worker changes nothing.
    assert not finish(world.connection, first, "dead")
    assert finish(world.connection, second)


def end_leases(world: World) -> None:
    """Make everything due, as if its time had come."""
    world.run("update bookingdb.deliveries set due_at = clock_timestamp() where status = 'pending'")


def test_two_workers_claim_different_deliveries(world: World) -> None:
    webhook(world.connection, "crm")
    for _ in range(4):
        write_event(world.connection, uuid4())
    call(world.connection, "relay_events")
    with holding(world) as one:
        mine = {delivery["id"] for delivery in rows(one, "claim_deliveries", limit=2)}
        others = {delivery["id"] for delivery in rows(world.connection, "claim_deliveries", limit=4)}
        one.execute("commit")

    assert len(mine) == len(others) == 2
    assert not mine & others


def test_slow_destination_leaves_the_others_their_turn(world: World) -> None:
    webhook(world.connection, "slow", "availability.changed")
    for _ in range(20):
        write_event(world.connection, uuid4())
    call(world.connection, "relay_events")
    rows(world.connection, "claim_deliveries", limit=5)
    webhook(world.connection, "quick", "availability.changed")
    write_event(world.connection, uuid4())

    (claimed,) = claim(world.connection, limit=1)

    assert claimed["destination"] == "quick"


def test_delivery_that_no_worker_survives_is_dead(world: World) -> None:
    webhook(world.connection, "crm")
    subject = uuid4()
    write_event(world.connection, subject)
    after = write_event(world.connection, subject)
    for _ in range(10):
        assert len(claim(world.connection)) == 1
        end_leases(world)

    assert events_of(world, claim(world.connection)) == [after]
    (status,) = rows(world.connection, "deliveries_status")
    assert status["dead"] == 1
    assert world.violations() == []


def test_disabled_destination_is_sent_nothing(world: World) -> None:
    webhook(world.connection, "crm")
    kept = write_event(world.connection, uuid4())
    call(world.connection, "relay_events")
    call(world.connection, "set_destination", name="crm", is_enabled=False)
    write_event(world.connection, uuid4())
    assert drain(world.connection) == []

    call(world.connection, "set_destination", name="crm", is_enabled=True)

    assert events_of(world, drain(world.connection)) == [kept]


# ----------------------------------------------------------------------------------------------------------------------
# Finishing
# ----------------------------------------------------------------------------------------------------------------------

PAUSES = [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]


def test_failures_are_tried_again_ever_later_and_then_dead(world: World) -> None:
    webhook(world.connection, "crm")
    write_event(world.connection, uuid4())
    pauses = []
    for _ in range(10):
        (claimed,) = claim(world.connection)
        finish(world.connection, claimed, "retry", status_code=503, detail="busy")
        (listed,) = rows(world.connection, "list_deliveries")
        if listed["due_at"]:
            pauses.append(world.scalar("select extract(epoch from %s - clock_timestamp())::float8", listed["due_at"]))
        end_leases(world)

    assert [0.9 * pause - 2 <= waited <= 1.1 * pause for pause, waited in zip(PAUSES, pauses, strict=True)] == [
        True
    ] * 9
    assert (listed["status"], listed["attempts"], listed["status_code"], listed["detail"]) == ("dead", 10, 503, "busy")
    assert claim(world.connection) == []


def test_next_attempt_waits_as_long_as_the_receiver_says(world: World) -> None:
    webhook(world.connection, "crm")
    write_event(world.connection, uuid4())
    (claimed,) = claim(world.connection)
    finish(world.connection, claimed, "retry", retry_after="2 hours")

    (listed,) = rows(world.connection, "list_deliveries")

    assert 7190 < (listed["due_at"] - world.scalar("select clock_timestamp()")).total_seconds() <= 7200


def test_dead_delivery_lets_its_successors_through(world: World) -> None:
    webhook(world.connection, "crm")
    subject = uuid4()
    write_event(world.connection, subject)
    second = write_event(world.connection, subject)
    (claimed,) = claim(world.connection)
    finish(world.connection, claimed, "dead")

    assert events_of(world, drain(world.connection)) == [second]


def test_released_claim_is_no_attempt(world: World) -> None:
    webhook(world.connection, "crm")
    write_event(world.connection, uuid4())
    (claimed,) = claim(world.connection)
    finish(world.connection, claimed, "released")

    (again,) = claim(world.connection)

    assert again["attempt"] == 1


def test_receiver_that_is_gone_is_asked_no_more(world: World) -> None:
    webhook(world.connection, "crm")
    write_event(world.connection, uuid4())
    write_event(world.connection, uuid4())
    first, _ = claim(world.connection)
    finish(world.connection, first, "gone", status_code=410)
    end_leases(world)

    assert claim(world.connection) == []
    (status,) = rows(world.connection, "deliveries_status")
    assert (status["is_enabled"], status["disabled_reason"], status["dead"]) == (False, "gone", 1)


# ----------------------------------------------------------------------------------------------------------------------
# Sending again
# ----------------------------------------------------------------------------------------------------------------------


def test_dead_deliveries_are_sent_again_by_the_same_ids(world: World) -> None:
    webhook(world.connection, "crm")
    for _ in range(3):
        write_event(world.connection, uuid4())
    sent = {delivery["id"] for delivery in claim(world.connection)}
    world.run("select finish_delivery(id, token, 'dead') from bookingdb.deliveries")

    assert call(world.connection, "replay_deliveries", destination="crm")["replay_deliveries"] == 3

    assert {delivery["id"] for delivery in drain(world.connection)} == sent
    assert world.violations() == []


def test_pending_delivery_is_sent_at_once_by_a_replay(world: World) -> None:
    webhook(world.connection, "crm")
    subject = uuid4()
    first, second = write_event(world.connection, subject), write_event(world.connection, subject)
    (claimed,) = claim(world.connection)
    # What is being sent is left alone.
    assert call(world.connection, "replay_deliveries", destination="crm", delivery_id=claimed["id"]) == {
        "replay_deliveries": 0
    }
    finish(world.connection, claimed, "retry", retry_after="2 hours")
    assert claim(world.connection) == []

    assert call(world.connection, "replay_deliveries", destination="crm", status="pending")["replay_deliveries"] == 2

    assert events_of(world, drain(world.connection)) == [first, second]
    assert world.violations() == []


def test_story_of_a_session_has_its_reminders(world: World) -> None:
    webhook(world.connection, "crm", "session.*", "credits.spent", channel="email")
    session = world.book(world.client(credits=1), world.therapist())["id"]
    call(world.connection, "relay_events")

    told = {row["type"] for row in rows(world.connection, "list_deliveries", subject_id=session)}

    assert {"session.booked", "credits.spent", "session.reminder"} >= told >= {"session.booked", "credits.spent"}


def test_replayed_delivery_goes_before_later_ones(world: World) -> None:
    webhook(world.connection, "crm")
    subject = uuid4()
    first = write_event(world.connection, subject)
    (claimed,) = claim(world.connection)
    finish(world.connection, claimed)
    second, third = write_event(world.connection, subject), write_event(world.connection, subject)
    (being_sent,) = claim(world.connection)
    call(world.connection, "replay_deliveries", destination="crm", delivery_id=claimed["id"])

    # The second is on its way: the first waits for its end, and then goes before the third.
    assert claim(world.connection) == []
    assert world.violations() == []
    finish(world.connection, being_sent)
    assert events_of(world, [being_sent]) == [second]
    assert events_of(world, drain(world.connection)) == [first, third]
    assert world.violations() == []


def test_delivery_finished_while_others_are_replayed(world: World) -> None:
    webhook(world.connection, "crm")
    subject = uuid4()
    first = write_event(world.connection, subject)
    drain(world.connection)
    write_event(world.connection, subject)
    (claimed,) = claim(world.connection)
    with holding(world) as other, session_of(world) as worker:
        call(other, "replay_deliveries", destination="crm", status="delivered")
        finishing = waiting_or_done(world, lambda connection: finish(connection, claimed), worker)
        other.execute("commit")
        assert finishing.result()

    assert world.violations() == []
    assert events_of(world, drain(world.connection)) == [first]


# ----------------------------------------------------------------------------------------------------------------------
# Old snapshots, broken lines, many at once
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_old_snapshots_are_refused(world: World, level: str) -> None:
    webhook(world.connection, "crm")
    calls: list[tuple[str, dict[str, Any]]] = [
        ("relay_events", {}), ("claim_deliveries", {}), ("replay_deliveries", {"destination": "crm"}),
        ("finish_delivery", {"delivery_id": uuid4(), "token": uuid4(), "outcome": "dead"}),
    ]  # fmt: skip
    for function, arguments in calls:
        with session_of(world) as other:
            other.execute(f"begin isolation level {level}")
            with pytest.raises(psycopg.Error) as error:
                rows(other, function, **arguments)
        assert (error.value.sqlstate, "transaction_isolation" in (error.value.diag.message_detail or "")) == (
            "PT400", True,
        )  # fmt: skip


@pytest.mark.parametrize("is_next", ["false", "event_id = (select max(event_id) from bookingdb.deliveries)"])
def test_line_that_stands_still_is_found(world: World, is_next: str) -> None:
    webhook(world.connection, "crm")
    subject = uuid4()
    for _ in range(2):
        write_event(world.connection, subject)
    call(world.connection, "relay_events")
    assert world.violations() == []

    world.run("update bookingdb.deliveries set is_next = false")
    world.run(f"update bookingdb.deliveries set is_next = {is_next}")

    assert [violation[0] for violation in world.violations()] == [12]


def test_workers_at_once_deliver_everything_in_order(world: World) -> None:
    """Writers, relays, and workers that fail, forget their claims and come late, all at the same time."""
    webhook(world.connection, "one")
    webhook(world.connection, "two")
    subjects = [uuid4() for _ in range(12)]
    arrived: list[tuple[str, UUID]] = []
    end = time.monotonic() + 3

    def write(seed: int) -> None:
        chance = random.Random(seed)
        mine = subjects[seed::3]
        with session_of(world) as connection:
            while time.monotonic() < end - 1:
                subject = chance.choice(mine)
                connection.execute("begin")
                write_event(connection, subject)
                time.sleep(chance.random() / 200)  # other transactions commit meanwhile
                connection.execute(chance.choice(["commit", "commit", "rollback"]))

    def work(seed: int) -> None:
        chance = random.Random(seed)
        with session_of(world) as connection:
            while time.monotonic() < end:
                call(connection, "relay_events", limit=chance.randint(1, 20))
                for delivery in rows(connection, "claim_deliveries", limit=3, lease="1 second"):
                    if chance.random() < 0.7:
                        arrived.append((delivery["destination"], delivery["id"]))
                        finish(connection, delivery, chance.choice(["delivered"] * 4 + ["retry"]))

    with ThreadPoolExecutor(7) as threads:
        jobs = [threads.submit(write, seed) for seed in range(3)] + [threads.submit(work, seed) for seed in range(4)]
        for job in jobs:
            job.result()
    end_leases(world)
    last = drain(world.connection, limit=1000)
    assert world.violations() == []

    order = arrived + [(delivery["destination"], delivery["id"]) for delivery in last]
    kept = {row[0] for row in world.run("select id from bookingdb.outbox where event = 'availability.changed'")}
    place = {
        row[0]: (row[1], row[2])
        for row in world.run("select id, subject_id, event_id from bookingdb.deliveries where event_id is not null")
    }
    for name in ("one", "two"):
        told: dict[UUID, list[int]] = defaultdict(list)
        for destination, delivery in order:
            subject, number = place[delivery]
            if destination == name and number not in told[subject]:
                told[subject].append(number)
        assert {number for numbers in told.values() for number in numbers} == kept
        assert all(numbers == sorted(numbers) for numbers in told.values())


# ----------------------------------------------------------------------------------------------------------------------
# Rows of any form
# ----------------------------------------------------------------------------------------------------------------------

ODD_PAYLOADS = [
    "[]", '"text"', "null", "{}", '{"user_id": "nobody"}', '{"session_id": 7, "user_id": [], "therapist_id": {}}',
    '{"session_id": "x", "start_time": "infinity", "old_status": {}, "new_status": 1, "columns": "a", "actor": []}',
]  # fmt: skip


@pytest.mark.parametrize(
    "event", ["session.created", "session.updated", "hold.booked", "credits.refunded", "of.mine", ""]
)
def test_row_of_any_form_holds_up_no_other(world: World, event: str) -> None:
    webhook(world.connection, "crm", "*", with_context=True)
    call(
        world.connection, "set_destination",
        name="mail", kind="mail", events=["*"], settings=Jsonb({"host": "localhost"}),
    )  # fmt: skip
    subject = uuid4()
    for payload in ODD_PAYLOADS:
        world.run(
            "insert into bookingdb.outbox (event, subject_id, payload) values (%s, %s, %s)", event, subject, payload
        )
    last = write_event(world.connection, subject)

    delivered = events_of(world, drain(world.connection, limit=100))

    assert delivered[-1] == last
    assert len(delivered) >= len(ODD_PAYLOADS)
    assert world.count("bookingdb.deliveries where status = 'dead'") == 0
    assert world.violations() == []


def test_delivery_that_cannot_be_put_together_is_dead(world: World) -> None:
    webhook(world.connection, "crm", "*", with_context=True)
    client = world.client(credits=1)
    world.book(client, world.therapist())
    call(world.connection, "relay_events")
    # No id is as an application may have written it, and this time the database itself is broken.
    world.run("update bookingdb.contacts set language = language")
    world.run("alter table bookingdb.contacts rename column phone to telephone")
    try:
        broken = claim(world.connection, limit=100)
    finally:
        world.run("alter table bookingdb.contacts rename column telephone to phone")

    assert [delivery for delivery in broken if delivery["type"].startswith("session.")] == []
    dead = rows(world.connection, "list_deliveries", status="dead")
    assert {delivery["detail"].partition(":")[0] for delivery in dead} == {"42703"}


# ----------------------------------------------------------------------------------------------------------------------
# Open transactions in unusual places
# ----------------------------------------------------------------------------------------------------------------------


def test_locked_rows_in_front_hold_up_no_subject_behind(world: World) -> None:
    webhook(world.connection, "crm")
    for _ in range(5):
        write_event(world.connection, uuid4())
    with holding(world) as reader:
        run(reader, "select id from bookingdb.outbox for update")
        behind = write_event(world.connection, uuid4())

        assert call(world.connection, "relay_events", limit=2)["relay_events"] == 1
        assert events_of(world, rows(world.connection, "claim_deliveries")) == [behind]
        reader.execute("rollback")


def test_reminder_being_claimed_delays_its_session_alone(world: World) -> None:
    webhook(world.connection, "crm", channel="email")
    session = world.book(world.client(credits=1), world.therapist())["id"]
    drain(world.connection)
    world.run("update bookingdb.deliveries set due_at = clock_timestamp() where type = 'session.reminder'")
    with holding(world) as worker:
        run(worker, "select id from bookingdb.deliveries where type = 'session.reminder' for update")
        world.run("update sessions set status = 'confirmed' where id = %s", session)
        other = write_event(world.connection, uuid4())

        assert other in events_of(world, drain(world.connection, kinds=["webhook"]))
        worker.execute("rollback")

    assert "session.confirmed" in {delivery["type"] for delivery in drain(world.connection)}


def test_replay_and_finish_lock_in_one_order(world: World) -> None:
    webhook(world.connection, "crm")
    for _ in range(8):
        subject = uuid4()
        dead = write_event(world.connection, subject)
        (claimed,) = claim(world.connection)
        finish(world.connection, claimed, "dead")
        for _ in range(2):
            write_event(world.connection, subject)
        (sent,) = claim(world.connection)
        with holding(world) as worker, session_of(world) as other:
            run(worker, "select id from bookingdb.deliveries where id = %s for no key update", sent["id"])
            replaying = waiting(world, lambda c: call(c, "replay_deliveries", destination="crm"), other)
            assert finish(worker, sent)
            worker.execute("commit")
            assert replaying.result() == {"replay_deliveries": 1}
        assert dead in events_of(world, drain(world.connection))


def test_event_named_like_a_fetch_is_delivered_once(world: World) -> None:
    webhook(world.connection, "crm")
    write_event(world.connection, uuid4(), "calendar.fetch")

    assert len(drain(world.connection)) == 1

    assert world.count("bookingdb.deliveries where status = 'pending'") == 0


@pytest.mark.parametrize("payload", ['{"n": ' + "1" * 5000 + "}", "[" * 3000 + "]" * 3000])
def test_body_that_no_reader_takes_is_dead(world: World, payload: str) -> None:
    webhook(world.connection, "crm")
    world.run("insert into bookingdb.outbox (event, subject_id, payload) values ('my.own', %s, %s)", uuid4(), payload)
    good = write_event(world.connection, uuid4())

    assert events_of(world, drain(world.connection)) == [good]

    (dead,) = rows(world.connection, "list_deliveries", status="dead")
    assert dead["detail"].startswith("too deep")
