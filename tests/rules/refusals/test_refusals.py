"""Traces of refusals: where a policy asks for them, what they keep, and whom they are about."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support import TOMORROW, World, run, scalar
from tests.support.callers import logged_in
from tests.support.databases import on_todays_supabase
from tests.support.interleaving import holding, started, waiting
from tests.support.life import call, rows
from tests.support.refusals import nothing_written, refused

BOOKING = "create_session_with_credit_deduction"
CODE = "insufficient_credits"
FUNCTIONS = Path(__file__).parents[3] / "sql" / "functions"


@pytest.fixture
def asking(world: World) -> World:
    """A practice whose default policy asks for traces."""
    ask_for_traces(world)
    return world


def ask_for_traces(world: World, therapist: UUID | None = None, asks: bool = True) -> None:
    world.run("select set_policy(%s, %s)", Jsonb({"record_refusals": asks}), therapist)


def record(world: World, client: UUID | None, code: str = CODE, /, **parameters: Any) -> bool:
    """Record a refusal as a trusted caller."""
    given: dict[str, Any] = {"function_name": BOOKING, "code": code, "user_id": client, **parameters}
    given["context"] = Jsonb(given.pop("context", {}))
    recorded = call(world.connection, "record_refusal", **given)["record_refusal"]
    assert isinstance(recorded, bool)
    return recorded


def refusals(world: World, client: UUID, **parameters: Any) -> list[Any]:
    return rows(world.connection, "list_refusals", user_id=client, **parameters)


def context_of(world: World, client: UUID, context: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a context."""
    assert record(world, client, context=context)
    kept = refusals(world, client)[0]["context"]
    assert isinstance(kept, dict)
    return kept


# ----------------------------------------------------------------------------------------------------------------------
# Which policy asks
# ----------------------------------------------------------------------------------------------------------------------


def test_no_policy_asks_for_traces_by_default(world: World) -> None:
    client, therapist = world.client(), world.therapist()
    assert not record(world, client, therapist_id=therapist)
    assert not record(world, client)
    assert refusals(world, client) == []


def test_policy_of_the_therapist_decides_about_traces(world: World) -> None:
    client, asking, other = world.client(), world.therapist(), world.therapist()
    ask_for_traces(world, asking)
    assert record(world, client, therapist_id=asking)
    # DETAIL names the therapist, too.
    assert record(world, client, context={"therapist_id": str(asking)})
    assert not record(world, client, therapist_id=other)
    ask_for_traces(world)
    ask_for_traces(world, asking, asks=False)
    assert not record(world, client, therapist_id=asking)
    assert record(world, client, therapist_id=other)


def test_default_policy_decides_without_a_therapist(asking: World) -> None:
    client = asking.client()
    assert record(asking, client)
    assert [row["therapist_id"] for row in refusals(asking, client)] == [None]


# ----------------------------------------------------------------------------------------------------------------------
# What is kept
# ----------------------------------------------------------------------------------------------------------------------


def test_trace_says_who_which_rule_and_when(asking: World) -> None:
    client, therapist = asking.client(credits=1), asking.therapist()
    asking.book(asking.client(credits=1), therapist)
    before = asking.scalar("select clock_timestamp()")
    with refused("booking_conflict") as refusal:
        asking.book(client, therapist)
    assert record(asking, client, "booking_conflict", therapist_id=therapist, context=refusal.detail)

    (trace,) = refusals(asking, client)
    assert before < trace.pop("refused_at") < asking.scalar("select clock_timestamp()")
    trace.pop("id")
    assert trace == {
        "user_id": client, "therapist_id": therapist, "session_id": None, "function_name": BOOKING,
        "code": "booking_conflict", "rule": "session", "actor": asking.owner, "is_claim": False,
        "context": {
            "therapist_id": str(therapist), "start_time": f"{TOMORROW}T10:00:00Z", "end_time": f"{TOMORROW}T11:00:00Z",
            "time_zone": "UTC", "next_free": f"{TOMORROW}T11:00:00Z",
        },
    }  # fmt: skip
    assert asking.violations() == []


def test_trace_has_no_free_text(asking: World) -> None:
    client = asking.client()
    secret = "Ada's mother is ill"
    context = {
        "notes": secret, "title": secret, "code": secret, "rule": secret, "reason": secret, "parameter": secret,
        "time_zone": secret, "start_time": secret, "session_date": secret, "session_time": secret,
        "therapist_id": secret, "session_id": secret, "credits_balance": secret, "minimum": {"a": secret},
        "maximum": [secret], "occurrence": "1", secret: 1, "status": "Ill",
    }  # fmt: skip
    assert context_of(asking, client, context) == {}
    assert secret not in json.dumps(asking.run("select r::text from bookingdb.refusals as r"))


def test_trace_keeps_ids_timestamps_and_figures(asking: World) -> None:
    therapist = asking.therapist("Europe/Berlin")
    known = {
        "therapist_id": str(therapist), "session_id": str(uuid4()), "start_time": "2030-01-07T09:00:00Z",
        "next_free": "2030-01-07T10:00:00Z", "session_date": "2030-01-07", "session_time": "10:00",
        "time_zone": "Europe/Berlin", "duration_minutes": 50, "credits_balance": 0, "minimum": -1, "maximum": 10000,
        "reason": "expired", "status": "no_show", "asked": "scheduled", "parameter": "p_from",
    }  # fmt: skip
    assert context_of(asking, asking.client(), known) == known


def test_trace_keeps_every_key_that_an_error_has(asking: World) -> None:
    """Whatever DETAIL gets a key for, the record of it has, too."""
    (kept,) = asking.run("select prosrc from pg_proc where oid = 'bookingdb.kept_context(jsonb)'::regprocedure")
    known = set(re.findall(r"\('([a-z_]+)', '[a-z]+'\)", kept[0]))
    raised = set[str]()
    for path in FUNCTIONS.rglob("*.sql"):
        text = path.read_text()
        raised |= set(re.findall(r"'([a-z_]+)',", "".join(contexts(text))))
        if path.name.endswith("_context.sql") and path.name != "kept_context.sql":
            raised |= set(re.findall(r"'([a-z_]+)', (?=[a-z])", text))
    assert {"until", "limit", "count", "approval_until", "minimum_length", "next_free", "hold_id"} <= raised & known
    assert raised - known == set()


def contexts(text: str) -> Iterator[str]:
    """Every key of every object that goes into an error, each followed by a comma."""
    for call_ in re.finditer(r"raise_error\('[a-z_]+', (?=jsonb)", text):
        depth, begin = 0, call_.end()
        for place in range(begin, len(text)):
            depth += {"(": 1, ")": -1}.get(text[place], 0)
            if depth < 0:
                break
        # Keys and values take turns; commas within parentheses part neither.
        inner = text[begin:place].replace("jsonb_strip_nulls(", "")
        parts, depth = [""], 0
        for letter in inner[inner.index("(") + 1 :]:
            depth += {"(": 1, ")": -1}.get(letter, 0)
            if letter == "," and depth == 0:
                parts.append("")
            elif depth >= 0:
                parts[-1] += letter
            else:
                break
        yield from (f"{part.strip()}," for part in parts[::2])


def test_trace_keeps_bounds_and_choices(asking: World) -> None:
    known = {
        "minimum": "10 seconds", "maximum": "2999-12-31T23:59:59Z", "allowed": ["paid", "promotional"], "limit": 2,
        "count": 2, "until": "2030-01-07T10:00:00Z", "detail_time_zone": "America/New_York",
    }  # fmt: skip
    assert context_of(asking, asking.client(), known) == known
    told = {"minimum": "12 monkeys", "allowed": ["Ada is ill"], "choices": [["a"]], "detail_time_zone": "Ada"}
    assert context_of(asking, asking.client(), told) == {}


@pytest.mark.parametrize(
    "context", [None, [], "text", 1, {"notes": "x" * 10_001}], ids=lambda value: type(value).__name__
)
def test_context_is_an_object_of_bounded_size(asking: World, context: Any) -> None:
    with refused("invalid_parameter") as refusal:
        record(asking, asking.client(), context=context)
    assert refusal.detail["parameter"] == "p_context"


@pytest.mark.parametrize("code", ["", "no_such_code", "Insufficient credits", None])
def test_only_codes_of_the_table_are_recorded(asking: World, code: Any) -> None:
    with refused("invalid_parameter") as refusal:
        record(asking, asking.client(), code)
    assert refusal.detail["parameter"] == "p_code"


@pytest.mark.parametrize("name", ["", "no_such_function", "take_credit", "now", "act_as", "record_refusal", None])
def test_only_public_functions_are_recorded(asking: World, name: Any) -> None:
    with refused("invalid_parameter") as refusal:
        record(asking, asking.client(), function_name=name)
    assert refusal.detail["parameter"] == "p_function_name"


@pytest.mark.parametrize("code", ["not_authenticated", "not_allowed", "busy"])
def test_strangers_and_busy_moments_leave_no_trace(asking: World, code: str) -> None:
    client = asking.client()
    assert not record(asking, client, code)
    assert refusals(asking, client) == []


# ----------------------------------------------------------------------------------------------------------------------
# Whom it is about
# ----------------------------------------------------------------------------------------------------------------------


def test_client_of_the_session_or_hold_was_refused(asking: World) -> None:
    client, therapist = asking.client(credits=1), asking.therapist()
    session = asking.book(client, therapist)["id"]
    hold = call(asking.connection, "hold_slot", user_id=client, therapist_id=therapist, session_date=TOMORROW,
                session_time="15:00")["id"]  # fmt: skip
    assert record(asking, None, "invalid_transition", context={"session_id": str(session)})
    assert record(asking, None, context={"hold_id": str(hold)}, function_name="book_hold")
    traces = [(row["session_id"], row["therapist_id"]) for row in refusals(asking, client)]
    assert traces == [(None, therapist), (session, therapist)]


def test_nobody_and_strangers_are_not_recorded(asking: World) -> None:
    """An application that hands on whatever id it is sent fills no table."""
    assert not record(asking, None)
    assert not record(asking, uuid4(), "user_not_found")
    assert asking.count("bookingdb.refusals") == 0


def test_deactivated_client_leaves_a_trace(asking: World) -> None:
    client = asking.client(credits=1)
    asking.run("update users set is_active = false where id = %s", client)
    assert record(asking, client, "user_not_found")
    assert [row["code"] for row in refusals(asking, client)] == ["user_not_found"]


@on_todays_supabase
def test_logged_in_user_records_for_themselves_alone(hosted_world: World) -> None:
    world = hosted_world
    ask_for_traces(world)
    client, other, therapist = world.client(credits=1), world.client(), world.therapist()
    others = world.book(client, therapist)["id"]
    with logged_in(world, other) as connection:
        with refused("not_allowed"):
            run(connection, "select record_refusal(%s, %s, %s)", BOOKING, CODE, client)
        assert scalar(connection, "select record_refusal(%s, %s)", BOOKING, CODE)
        # Nor into the story of somebody else's session.
        context = Jsonb({"session_id": str(others)})
        assert scalar(connection, "select record_refusal(%s, %s, p_context => %s)", BOOKING, CODE, context)
        assert run(connection, "select session_id, actor from list_refusals(%s)", other) == [(None, str(other))] * 2
        with refused("not_allowed"):
            run(connection, "select * from list_refusals(%s)", client)
    assert refusals(world, client) == []
    with logged_in(world, therapist) as connection:
        assert scalar(
            connection, "select record_refusal('complete_session', 'invalid_transition', p_context => %s)", context
        )
        assert run(connection, "select session_id from list_refusals(%s)", therapist) == [(others,)]


def test_user_has_a_hundred_traces_a_day_at_most(asking: World) -> None:
    client, other = asking.client(), asking.client()
    assert all(record(asking, client) for _ in range(100))
    assert not record(asking, client)
    assert record(asking, other)
    asking.run("update bookingdb.refusals set refused_at = refused_at - interval '25 hours' where user_id = %s", client)
    assert record(asking, client)


@on_todays_supabase
def test_claim_of_a_user_is_told_apart(hosted_world: World) -> None:
    """Whoever has a login of their own may report what never was; a server that acts as them reports what it saw."""
    world = hosted_world
    ask_for_traces(world)
    client = world.client()
    with logged_in(world, client) as connection:
        assert scalar(connection, "select record_refusal(%s, %s)", BOOKING, CODE)
        # A setting that changes nothing for a logged-in user makes no server of them.
        run(connection, "select set_config('bookingdb.acting_as', %s, false)", str(client))
        assert scalar(connection, "select record_refusal(%s, %s)", BOOKING, CODE)
    assert record_as(world, client)
    assert record(world, client)
    assert [(row["is_claim"], row["actor"]) for row in refusals(world, client)] == [
        (False, world.owner), (False, str(client)), (True, str(client)), (True, str(client)),
    ]  # fmt: skip


def record_as(world: World, client: UUID) -> bool:
    """Record a refusal as a server that acts as the client."""
    with world.connect() as connection, connection.transaction():
        run(connection, "select act_as(%s)", client)
        recorded = scalar(connection, "select record_refusal(%s, %s)", BOOKING, CODE)
        assert isinstance(recorded, bool)
        return recorded


@on_todays_supabase
def test_claims_push_out_nothing_that_a_server_reports(hosted_world: World) -> None:
    world = hosted_world
    ask_for_traces(world)
    client = world.client()
    with logged_in(world, client) as connection:
        mine = [scalar(connection, "select record_refusal(%s, %s)", BOOKING, CODE) for _ in range(101)]
    assert mine == [True] * 100 + [False]
    assert record(world, client)
    assert record_as(world, client)


@on_todays_supabase
def test_user_is_not_shown_what_others_were_refused(hosted_world: World) -> None:
    world = hosted_world
    ask_for_traces(world)
    client = world.client()
    assert record(world, client, "invalid_transition", function_name="refund_session")
    assert record_as(world, client)
    with logged_in(world, client) as connection:
        assert scalar(connection, "select record_refusal('hold_slot', %s)", CODE)
        own = run(connection, "select function_name, is_claim from list_refusals(%s)", client)
    assert own == [("hold_slot", True), (BOOKING, False)]
    with world.connect() as connection, connection.transaction():
        run(connection, "select act_as(%s)", client)
        assert run(connection, "select function_name, is_claim from list_refusals(%s)", client) == own
    assert len(refusals(world, client)) == 3


# ----------------------------------------------------------------------------------------------------------------------
# Lists, and how long they last
# ----------------------------------------------------------------------------------------------------------------------


def test_list_of_refusals_is_newest_first_in_its_span(asking: World) -> None:
    client = asking.client()
    for code in ("too_soon", "too_far", "in_past"):
        assert record(asking, client, code)
    times = [row["refused_at"] for row in refusals(asking, client)]
    assert times == sorted(times, reverse=True)
    codes = [row["code"] for row in refusals(asking, client)]
    assert codes == ["in_past", "too_far", "too_soon"]
    assert [row["code"] for row in refusals(asking, client, **{"from": times[1]})] == codes[:2]
    assert [row["code"] for row in refusals(asking, client, to=times[1])] == codes[2:]
    assert [row["code"] for row in refusals(asking, client, limit=1)] == codes[:1]
    with refused("invalid_parameter"):
        refusals(asking, client, **{"from": times[0], "to": times[1]})
    for limit in (0, 1001, None):
        with refused("invalid_parameter"):
            refusals(asking, client, limit=limit)


def test_refusals_of_one_moment_stay_on_one_page(asking: World) -> None:
    client = asking.client()
    for _ in range(3):
        record(asking, client)
    asking.run("update bookingdb.refusals set refused_at = now()")
    assert len(refusals(asking, client, limit=1)) == 3


def test_housekeeping_removes_traces_after_the_retention(asking: World) -> None:
    client = asking.client()
    for days in (29, 31, 45):
        record(asking, client)
        asking.run(
            "update bookingdb.refusals set refused_at = refused_at - make_interval(days => %s)"
            " where id = (select max(id) from bookingdb.refusals)",
            days,
        )
    clean = partial(call, asking.connection, "housekeeping")
    assert clean(dry_run=True)["refusals"] == 2
    assert clean(limit=1)["refusals"] == 1
    assert clean()["refusals"] == 1
    assert len(refusals(asking, client)) == 1
    asking.run("select set_policy('{\"retention_days\": 28}')")
    assert clean()["refusals"] == 1


def test_housekeeping_leaves_a_locked_trace_for_later(asking: World) -> None:
    client = asking.client()
    record(asking, client)
    asking.run("update bookingdb.refusals set refused_at = refused_at - interval '31 days'")
    with holding(asking) as other:
        run(other, "select from bookingdb.refusals for update")
        assert call(asking.connection, "housekeeping")["refusals"] == 0
    assert call(asking.connection, "housekeeping")["refusals"] == 1


# ----------------------------------------------------------------------------------------------------------------------
# Beside others
# ----------------------------------------------------------------------------------------------------------------------


def test_trace_waits_for_no_booking(asking: World) -> None:
    """Somebody books, locks the people, changes the policy: the trace is written all the same."""
    client, therapist = asking.client(credits=2), asking.therapist()
    session = asking.book(client, therapist)["id"]
    with holding(asking) as other:
        run(other, "select lock_for_booking(array[%s, %s]::uuid[])", client, therapist)
        run(other, "select reschedule_session(%s, %s, '15:00')", session, TOMORROW)
        run(other, "select * from users where id in (%s, %s) for update", client, therapist)
        run(other, 'select set_policy(\'{"minimum_notice": "1 hour"}\')')
        with asking.connect() as connection:
            run(connection, "set lock_timeout = '1ms'")
            context = Jsonb({"session_id": str(session)})
            statement = "select record_refusal(%s, %s, %s, %s, %s)"
            assert scalar(connection, statement, BOOKING, CODE, client, therapist, context)
    assert len(refusals(asking, client)) == 1
    assert asking.violations() == []


def test_booking_waits_for_no_trace(asking: World) -> None:
    client, therapist = asking.client(credits=2), asking.therapist()
    with holding(asking) as other:
        run(other, "select record_refusal(%s, %s, %s, %s)", BOOKING, CODE, client, therapist)
        booked = started(lambda connection: run(connection, "select 1 from " + book_call(client, therapist)),
                         asking.connect())  # fmt: skip
        assert booked.result(timeout=10) == [(1,)]


def book_call(client: UUID, therapist: UUID) -> str:
    return f"create_session_with_credit_deduction('{client}', '{therapist}', '{TOMORROW}', '10:00')"


def test_trace_gives_up_a_locked_table_soon(asking: World) -> None:
    """As while somebody migrates; without an answer that is all the caller loses."""
    client = asking.client()
    with holding(asking) as other, asking.connect() as connection:
        run(other, "lock table bookingdb.refusals")
        begun = dt.datetime.now(dt.UTC)
        future = waiting(
            asking, lambda connection: run(connection, "select record_refusal(%s, %s, %s)", BOOKING, CODE, client),
            connection,
        )  # fmt: skip
        with pytest.raises(psycopg.errors.LockNotAvailable):
            future.result()
        assert dt.datetime.now(dt.UTC) - begun < dt.timedelta(seconds=5)


def test_refused_trace_writes_nothing(asking: World) -> None:
    with nothing_written(asking), refused("invalid_parameter"):
        record(asking, asking.scalar("select gen_random_uuid()"), "no_such_code")
    assert asking.count("bookingdb.refusals") == 0
