"""What each function refuses of its parameters, with the error of the table, and with nothing written.

Booking, the check, granting and registering clients have tables of their own, beside their other rules.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support import TOMORROW, World
from tests.support.interleaving import next_clock_change
from tests.support.life import begin, call, request_session, rows
from tests.support.refusals import Refusal, nothing_written, refused

NOBODY = UUID("00000000-0000-4000-8000-0000000000ff")
YESTERDAY = dt.date.today() - dt.timedelta(days=2)
MONDAY, TUESDAY, SUNDAY = dt.date(2030, 1, 7), dt.date(2030, 1, 8), dt.date(2030, 1, 6)
NOON, EVENING = dt.datetime(2030, 1, 7, 12, tzinfo=dt.UTC), dt.datetime(2030, 1, 7, 18, tzinfo=dt.UTC)
SKIPPED = next_clock_change("Europe/Berlin", forward=True)

# Parameters without their p_, the error, and what its DETAIL says of it.
Case = tuple[dict[str, Any], str, dict[str, Any]]
# Names of people and things, to be looked up.
CLIENT, THERAPIST, SESSION = "the client", "the therapist", "the session"


@pytest.fixture
def scene(clean_world: World) -> dict[str, Any]:
    """A client and a therapist, who offers 30 to 120 minutes, with a session, a hold, a lot and time off."""
    world = clean_world
    client, therapist = world.client(credits=9), world.therapist("Europe/Berlin")
    lot = call(world.connection, "grant_credits", user_id=client, amount=3, payment_reference="payment")["lot_id"]
    session = world.book(client, therapist, "06:00")["id"]
    begun = world.book(client, therapist, "08:00")["id"]
    begin(world.connection, begun)
    missed = world.book(client, therapist, "04:00")["id"]
    begin(world.connection, missed, 300)
    call(world.connection, "mark_no_show", session_id=missed)
    asked_for = request_session(world.connection, client, therapist, dt.datetime.combine(TOMORROW, dt.time(20), dt.UTC))
    hold = call(
        world.connection, "hold_slot",
        user_id=client, therapist_id=therapist, session_date=TOMORROW, session_time="12:00", ttl="1 hour",
    )["id"]  # fmt: skip
    time_off = call(world.connection, "add_time_off", therapist_id=therapist, start=NOON, end=EVENING)["id"]
    limits = Jsonb({"minimum_duration_minutes": 30, "maximum_duration_minutes": 120})
    call(world.connection, "set_policy", settings=limits, therapist_id=therapist)
    return {
        CLIENT: client, THERAPIST: therapist, SESSION: session, "begun": begun, "missed": missed,
        "colleague": world.therapist(), "asked for": asked_for, "lot": lot, "hold": hold, "time off": time_off,
        "other's lot": other_lot(world),
        "receiver": world.client(),
        "package": world.scalar("select id from set_package('Five', 5, null, 'price_5')"),
    }  # fmt: skip


def other_lot(world: World) -> UUID:
    lot = call(world.connection, "grant_credits", user_id=world.client(), amount=3)["lot_id"]
    assert isinstance(lot, UUID)
    return lot


def invalid(parameter: str, **wrong: Any) -> Case:
    return wrong, "invalid_parameter", {"parameter": f"p_{parameter}"}


def each(parameter: str, *wrong: Any, **context: Any) -> list[Case]:
    """The same parameter, wrong in several ways."""
    return [({parameter: value}, "invalid_parameter", {"parameter": f"p_{parameter}", **context}) for value in wrong]


def code(code: str, **wrong: Any) -> Case:
    return wrong, code, {}


KEYS = each("idempotency_key", "", "k" * 256)
SLOT = {"user_id": CLIENT, "therapist_id": THERAPIST, "session_date": TOMORROW, "session_time": "14:00"}
DURATIONS = [code("invalid_duration", duration_minutes=minutes) for minutes in (0, 14, 29, 121, 181, -60, 100_000)]
SLOTS: list[Case] = [
    code("invalid_user_id", user_id=None), code("invalid_therapist_id", therapist_id=None),
    code("user_not_found", user_id=NOBODY), code("user_not_found", user_id=THERAPIST),
    code("therapist_not_found", therapist_id=NOBODY), code("therapist_not_found", therapist_id=CLIENT),
    code("invalid_duration", duration_minutes=None), *DURATIONS,
    code("invalid_date", session_date=None), code("invalid_date", session_date="infinity"),
    code("invalid_time", session_time=None), code("invalid_time", session_time="10:00:01"),
    code("invalid_time_zone", time_zone="Mars+5"), code("invalid_time_zone", time_zone="CEST"),
    code("skipped_time", session_date=SKIPPED.date(), session_time="02:30"),
    code("in_past", session_date=YESTERDAY),
    *KEYS,
]  # fmt: skip
TEXTS = [
    *each("session_type", None, "", "v" * 51), *each("notes", "n" * 10_001), *each("title", None, "t" * 256),
]  # fmt: skip
OF_A_SESSION: list[Case] = [
    code("invalid_session_id", session_id=None), code("session_not_found", session_id=NOBODY), *KEYS,
]  # fmt: skip
OF_A_THERAPIST: list[Case] = [
    code("invalid_therapist_id", therapist_id=None),
    ({"therapist_id": NOBODY}, "therapist_not_found", {"therapist_id": str(NOBODY)}),
    code("therapist_not_found", therapist_id=CLIENT),
]
PERIOD = [
    *each("from", None, "-infinity"), *each("to", None, "infinity"),
    invalid("to", **{"from": EVENING, "to": NOON}),
]  # fmt: skip
DATES: list[Case] = [
    *OF_A_THERAPIST,
    *(code("invalid_date", **{"from": date}) for date in (None, "-infinity")),
    *(code("invalid_date", to=date) for date in (None, "infinity", "3000-01-01")),
    ({"to": SUNDAY}, "invalid_parameter", {"parameter": "p_to", "maximum_days": 366}),
    ({"to": "2031-01-08"}, "invalid_parameter", {"parameter": "p_to", "maximum_days": 366}),
    code("invalid_time_zone", time_zone="Mars+5"),
]  # fmt: skip
LENGTHS = [code("invalid_duration", duration_minutes=minutes) for minutes in (None, 14, 29, 121, 181)]
GRID = [*DATES, *LENGTHS, *each("step_minutes", 0, 1441)]

WINDOW = {"start_time": "09:00", "end_time": "10:00"}
# No list of windows at all; and windows that are wrong, of a week and of a date alike.
NO_WINDOWS: list[Any] = [{}, "Monday", None]
WRONG_WINDOWS: list[Any] = [
    1, None, [], {}, {"start_time": "09:00"}, {"end_time": "10:00"}, {"start_time": None, "end_time": None},
    {**WINDOW, "start_time": "9:00"}, {**WINDOW, "start_time": "24:00"}, {**WINDOW, "start_time": "09:00:01"},
    {**WINDOW, "end_time": "24:01"}, {**WINDOW, "end_time": "25:00"}, {**WINDOW, "end_time": "10:60"},
    {**WINDOW, "end_time": "10:00+02"}, {**WINDOW, "end_time": "now"}, {"start_time": 9, "end_time": 10},
    {**WINDOW, "room": 1}, {**WINDOW, "closed": True},
]  # fmt: skip
DAY_OF_WEEK = {"weekday": 1, **WINDOW}
WRONG_WEEKDAYS = [
    {}, WINDOW, *({**WINDOW, "weekday": day} for day in (None, 0, 8, 1.5, "Monday", [1])),
    *({**DAY_OF_WEEK, "valid_from": date} for date in ("2030-02-30", "soon", "1899-12-31")),
    {**DAY_OF_WEEK, "valid_to": "infinity"}, {**DAY_OF_WEEK, "valid_from": "2030-01-02", "valid_to": "2030-01-01"},
]  # fmt: skip

AT_NINE, AT_TEN = "2030-01-07T09:00:00Z", "2030-01-07T10:00:00Z"
EVENT = {"external_id": "a", "start_time": AT_NINE, "end_time": AT_TEN}
GONE = {"external_id": "a", "removed": True}
NO_EVENTS: list[Any] = [{}, None]
TOO_MANY_EVENTS = [{"external_id": str(number), "removed": True} for number in range(5001)]

# By function: arguments with which it is done, and what makes it refuse them.
FUNCTIONS: dict[str, tuple[dict[str, Any], list[Case]]] = {
    "book_session_with_override": (SLOT, [*SLOTS, *TEXTS, *each("override_hours", None)]),
    "book_series": (
        {**SLOT, "occurrences": 3},
        [
            *SLOTS, *TEXTS, *each("occurrences", None, 0, -1, 53),
            *each(
                "every", None, "0", "-7 days", "12 hours", "24 hours", "168 hours", "7 days 1 hour",
                "7 days 1 microsecond", "367 days", "2 years", "-11 months 331 days", "1 month -29 days",
            ),
            *each("on_conflict", None, "", "SKIP", "ignore"),
            code("too_far", session_date="2999-12-01"),
        ],
    ),
    "record_session": (
        {**SLOT, "session_date": YESTERDAY},
        [
            *(case for case in SLOTS if case[1] not in ("too_soon", "too_far", "in_past")), *TEXTS, *KEYS,
            *each("status", None, "", "scheduled", "cancelled", "in_progress"),
            *each("session_date", TOMORROW, YESTERDAY - dt.timedelta(days=366)),
        ],
    ),
    "transfer_session": (
        {"session_id": SESSION, "therapist_id": "colleague"},
        [
            *OF_A_SESSION, *OF_A_THERAPIST, *each("therapist_id", THERAPIST), *each("reason", "r" * 1001),
            *each("override", ["notice"]),
        ],
    ),
    "hold_slot": (SLOT, [*SLOTS, *each("ttl", "9.9 seconds", "61 minutes", "1 mon -30 days")]),
    "book_hold": ({"hold_id": "hold"}, [*each("hold_id", None), code("hold_not_found", hold_id=NOBODY), *TEXTS, *KEYS]),
    "release_hold": (
        {"hold_id": "hold"},
        [*each("hold_id", None), ({"hold_id": NOBODY}, "hold_not_found", {"hold_id": str(NOBODY)})],
    ),
    "reschedule_session": (
        {"session_id": SESSION, "session_date": TOMORROW, "session_time": "14:00"},
        [
            *OF_A_SESSION, *DURATIONS,
            code("invalid_date", session_date=None), code("invalid_date", session_date="infinity"),
            code("invalid_time", session_time=None), code("invalid_time", session_time="10:00:01"),
            code("invalid_time_zone", time_zone="Mars+5"),
            code("skipped_time", session_date=SKIPPED.date(), session_time="02:30"),
            code("in_past", session_date=YESTERDAY),
        ],
    ),
    "reschedule_series": (
        {"session_id": SESSION, "session_date": TOMORROW, "session_time": "14:00"},
        [
            *OF_A_SESSION, *DURATIONS,
            code("invalid_date", session_date=None), code("invalid_date", session_date="infinity"),
            code("invalid_time", session_time=None), code("invalid_time", session_time="10:00:01"),
            code("invalid_time_zone", time_zone="Mars+5"),
            code("skipped_time", session_date=SKIPPED.date(), session_time="02:30"),
            code("in_past", session_date=YESTERDAY),
        ],
    ),
    "cancel_series": ({"session_id": SESSION}, [*OF_A_SESSION, *each("reason", "r" * 1001)]),
    "cancel_session": ({"session_id": SESSION}, [*OF_A_SESSION, *each("reason", "r" * 1001)]),
    "reopen_session": ({"session_id": "missed"}, [*OF_A_SESSION, *each("reason", "r" * 1001)]),
    "approve_session": ({"session_id": "asked for"}, OF_A_SESSION),
    "confirm_session": ({"session_id": SESSION}, OF_A_SESSION),
    "start_session": ({"session_id": "begun"}, OF_A_SESSION),
    "complete_session": ({"session_id": "begun"}, OF_A_SESSION),
    "mark_no_show": ({"session_id": "begun"}, OF_A_SESSION),
    "adjust_credits": (
        {"user_id": CLIENT, "amount": 1, "reason": "r"},
        [
            code("invalid_user_id", user_id=None), code("user_not_found", user_id=NOBODY),
            code("user_not_found", user_id=THERAPIST), *each("amount", None, 0, 10_001, -10_001),
            *each("reason", None, "", "   ", " \n\t", "r" * 1001, "r" + " " * 1000), *KEYS,
            code("lot_not_found", lot_id=NOBODY), code("lot_not_found", lot_id="other's lot"),
            code("lot_not_found", lot_id="other's lot", amount=-1),
        ],
    ),
    "transfer_credits": (
        {"from_user_id": CLIENT, "to_user_id": "receiver", "amount": 1, "reason": "r"},
        [
            code("invalid_user_id", from_user_id=None), code("invalid_user_id", to_user_id=None),
            code("user_not_found", from_user_id=NOBODY), code("user_not_found", to_user_id=NOBODY),
            code("user_not_found", to_user_id=THERAPIST), invalid("to_user_id", to_user_id=CLIENT),
            *each("amount", None, 0, -1, 10_001), *each("reason", None, "", " \n\t", "r" * 1001), *KEYS,
            code("lot_not_found", lot_id=NOBODY), code("lot_not_found", lot_id="other's lot"),
            code("insufficient_credits", amount=10_000),
        ],
    ),
    "set_package": (
        {"name": "Ten", "credits": 10},
        [
            *each("name", None, "", " \n", "n" * 201), *each("credits", None, 0, -1, 10_001),
            *each(
                "validity", "0 days", "12 hours", "1 day 1 hour", "24 hours", "-1 day", "1 month -1 day", "101 years",
                "1 year 1 microsecond",
            ),
            *each("price_reference", "", "p" * 256), *each("rollover_cap", -1, 10_001),
            *each("category", None, "gift", "Paid"), *each("priority", None, -1, 101), *each("active", None),
            code("package_not_found", package_id=NOBODY),
        ],
    ),
    "grant_package": (
        {"user_id": CLIENT, "package_id": "package"},
        [
            code("invalid_user_id", user_id=None), code("user_not_found", user_id=NOBODY),
            code("user_not_found", user_id=THERAPIST), *each("package_id", None, reason="missing"),
            invalid("package_id", price_reference="price_5"), code("package_not_found", package_id=NOBODY),
            code("package_not_found", package_id=None, price_reference="Price_5"),
            invalid("price_reference", package_id=None, price_reference=""),
            *each("payment_reference", "", "p" * 256), *KEYS,
        ],
    ),
    "list_packages": ({}, each("include_inactive", None)),
    "revoke_grant": (
        {"payment_reference": "payment"},
        [
            code("invalid_parameter", payment_reference=None), code("invalid_parameter", lot_id="lot"),
            *each("payment_reference", "", "p" * 256), *each("reason", "r" * 1001),
            code("lot_not_found", payment_reference="another"), code("lot_not_found", payment_reference="Payment"),
            code("lot_not_found", payment_reference=None, lot_id=NOBODY),
        ],
    ),
    "grant_credits": (
        {"user_id": CLIENT, "amount": 1},
        [
            *each("category", None, "gift", "Paid"), *each("priority", None, -1, 101),
            invalid("expires_at", expires_at=dt.datetime.now(dt.UTC)),
            *each("expires_on", YESTERDAY, "1899-12-31", "2999-12-31", "infinity", "-infinity"),
            invalid("expires_on", expires_on=MONDAY, expires_at=EVENING),
        ],
    ),
    "get_credit_statement": (
        {"user_id": CLIENT, "from": NOON, "to": EVENING},
        [
            code("invalid_user_id", user_id=None), code("user_not_found", user_id=NOBODY),
            code("user_not_found", user_id=THERAPIST), *PERIOD,
        ],
    ),
    "register_therapist": (
        {"email": "c@therapist.test"},
        [
            *each("email", None, "nobody"), *each("full_name", "n" * 256), invalid("user_id", user_id=CLIENT),
            *(code("invalid_time_zone", time_zone=zone) for zone in ("Mars+5", "")),
        ],
    ),
    "get_policy": ({"therapist_id": THERAPIST}, OF_A_THERAPIST[1:]),
    "is_bookable_any_time": ({"therapist_id": THERAPIST}, OF_A_THERAPIST),
    "get_weekly_hours": ({"therapist_id": THERAPIST}, OF_A_THERAPIST),
    "list_date_overrides": (
        {"therapist_id": THERAPIST, "from": MONDAY, "to": MONDAY},
        [*OF_A_THERAPIST, code("invalid_date", **{"from": None}), code("invalid_date", to=None)],
    ),
    "list_opening_hours": ({"therapist_id": THERAPIST, "from": MONDAY, "to": MONDAY}, DATES),
    "list_available_slots": ({"therapist_id": THERAPIST, "from": MONDAY, "to": MONDAY}, GRID),
    "list_slot_states": ({"therapist_id": THERAPIST, "from": MONDAY, "to": MONDAY}, GRID),
    "list_available_days": ({"therapist_id": THERAPIST, "from": MONDAY, "to": MONDAY}, GRID),
    "next_available_slot": (
        {"therapist_id": THERAPIST},
        [
            *OF_A_THERAPIST, *LENGTHS, *each("step_minutes", 0, 1441),
            *each("after", "infinity", "1899-12-31 00:00+00"), code("invalid_time_zone", time_zone="Mars+5"),
        ],
    ),
    "find_available_therapists": (
        {"from": NOON, "to": EVENING},
        [
            *PERIOD, invalid("to", **{"from": "2030-01-07Z", "to": "2031-01-08 00:01Z"}),
            *(code("invalid_duration", duration_minutes=minutes) for minutes in (None, 14, 181)),
            *each("limit", None, 0, 1001, minimum=1, maximum=1000),
        ],
    ),
    "list_calendar_changes": ({"therapist_id": THERAPIST, "from": NOON, "to": EVENING}, [*OF_A_THERAPIST, *PERIOD]),
    "list_time_off": ({"therapist_id": THERAPIST, "from": NOON, "to": EVENING}, [*OF_A_THERAPIST, *PERIOD]),
    "add_time_off": (
        {"therapist_id": THERAPIST, "start": NOON, "end": EVENING},
        [
            *OF_A_THERAPIST, *each("start", None, "-infinity"), *each("end", None, "infinity", NOON, SUNDAY),
            *each("reason", "r" * 1001),
        ],
    ),
    "add_days_off": (
        {"therapist_id": THERAPIST, "first_date": MONDAY, "last_date": MONDAY},
        [
            *OF_A_THERAPIST,
            *(
                code("invalid_date", **{name: date})
                for name in ("first_date", "last_date")
                for date in (None, "1899-12-31", "3000-01-01", "infinity", "-infinity")
            ),
            invalid("last_date", last_date=SUNDAY), *each("reason", "r" * 1001),
        ],
    ),
    "remove_time_off": (
        {"time_off_id": "time off"},
        [
            *each("time_off_id", None),
            ({"time_off_id": NOBODY}, "time_off_not_found", {"time_off_id": str(NOBODY)}),
            code("time_off_not_found", time_off_id=SESSION),
        ],
    ),
    "sync_external_busy": (
        {"therapist_id": THERAPIST, "source": "work", "events": Jsonb([EVENT])},
        [
            *OF_A_THERAPIST, *each("source", None, "", "s" * 101, "adoption"),
            *each("events", None, *map(Jsonb, NO_EVENTS), Jsonb(TOO_MANY_EVENTS)),
            *(
                code("invalid_parameter", **{"from": starts, "to": ends})
                for starts, ends in (
                    (NOON, None), (None, NOON), (EVENING, NOON), ("-infinity", NOON), (NOON, "infinity"),
                )
            ),
        ],
    ),
    "set_weekly_hours": (
        {"therapist_id": THERAPIST, "hours": Jsonb([DAY_OF_WEEK] * 200)},
        [
            *OF_A_THERAPIST, *each("hours", *map(Jsonb, NO_WINDOWS), Jsonb([DAY_OF_WEEK] * 201)),
            *each(
                "hours",
                *(
                    Jsonb([{"weekday": 1, **window} if isinstance(window, dict) else window])
                    for window in WRONG_WINDOWS
                ),
                *(Jsonb([window]) for window in WRONG_WEEKDAYS),
            ),
            *each("hours", Jsonb([DAY_OF_WEEK, {**DAY_OF_WEEK, "end_time": "25:00"}]), window=2),
        ],
    ),
    "set_date_override": (
        {"therapist_id": THERAPIST, "date": MONDAY, "hours": Jsonb([WINDOW])},
        [
            *OF_A_THERAPIST,
            *(code("invalid_date", date=date) for date in (None, "1899-12-31", "3000-01-01", "infinity")),
            *each("hours", *map(Jsonb, NO_WINDOWS), *(Jsonb([window]) for window in WRONG_WINDOWS)),
            *each(
                "hours", Jsonb([DAY_OF_WEEK]), Jsonb([{**WINDOW, "valid_from": "2030-01-01"}]),
                Jsonb([{**WINDOW, "valid_to": "2030-01-01"}]),
            ),
            *each("hours", Jsonb([WINDOW, {**WINDOW, "start_time": "9:00"}]), window=2),
        ],
    ),
}  # fmt: skip


def how_it_differs(ask: Callable[[], Any], error: str, context: dict[str, Any]) -> str | None:
    """Return what is not as expected of a refusal; None: it is."""
    refusal = Refusal({})
    try:
        with refused(error) as refusal:
            ask()
    except (AssertionError, pytest.fail.Exception, psycopg.Error) as problem:
        return f"{error}: {str(problem)[:200]}"
    said = {name: refusal.detail.get(name) for name in context}
    return None if said == context else f"{error}: {refusal.detail}"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_wrong_parameters_are_refused_and_nothing_written(
    clean_world: World, scene: dict[str, Any], function: str
) -> None:
    connection = clean_world.connection
    done, cases = FUNCTIONS[function]

    def ask(wrong: dict[str, Any]) -> None:
        given = {
            name: scene[value] if isinstance(value, str) and value in scene else value
            for name, value in {**done, **wrong}.items()
        }
        with connection.transaction(force_rollback=True):
            rows(connection, function, **given)

    ask({})
    with nothing_written(clean_world):
        findings = [(wrong, how_it_differs(partial(ask, wrong), error, context)) for wrong, error, context in cases]
    assert [finding for finding in findings if finding[1]] == []


def test_every_refused_parameter_says_what_is_wrong() -> None:
    """Its name alone lets the reader guess."""
    bare = re.compile(r"raise_error\('invalid_parameter', jsonb_build_object\(\s*'parameter', [^,]*?\)\s*\)?;")
    functions = Path(__file__).parents[3] / "sql" / "functions"
    assert [path.name for path in functions.rglob("*.sql") if bare.search(path.read_text())] == []
