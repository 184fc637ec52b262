"""One table of errors: SQLSTATE and message in SQL, class and http_status in Python, whatever the driver."""

import copy
import pickle
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
import sqlalchemy
from sqlalchemy.ext.asyncio import create_async_engine

import bookingdb
from bookingdb import (
    AsyncBookings,
    BookingConflict,
    BookingError,
    BookingFailed,
    Bookings,
    Busy,
    ClientConflict,
    ClientLimit,
    InvalidDuration,
    OutsideAvailability,
)
from bookingdb.errors import BY_CODE, from_driver_error
from tests.support import TOMORROW, World
from tests.support.clients import sqlalchemy_url

# The promise. Applications match parts of the messages: they do not change.
TABLE = [
    ("not_authenticated", "PT401", "Not authenticated"),
    ("not_allowed", "PT403", "Not allowed to act for this user"),
    ("invalid_therapist_id", "PT400", "Invalid therapist ID format"),
    ("invalid_user_id", "PT400", "Invalid user ID format"),
    ("invalid_session_id", "PT400", "Invalid session ID format"),
    ("invalid_date", "PT400", "Invalid date format"),
    ("invalid_time", "PT400", "Invalid time format"),
    ("skipped_time", "PT400", "Invalid time: skipped by a clock change"),
    ("invalid_time_zone", "PT400", "Invalid time zone"),
    ("invalid_duration", "PT400", "Duration must be 15-180 minutes"),
    ("invalid_parameter", "PT400", "Invalid parameter"),
    ("in_past", "PT400", "Cannot book in the past"),
    ("too_soon", "PT400", "Too close to the start to book"),
    ("too_far", "PT400", "Too far ahead to book"),
    ("therapist_not_found", "PT404", "Therapist not found"),
    ("user_not_found", "PT404", "User not found"),
    ("session_not_found", "PT404", "Session not found"),
    ("hold_not_found", "PT404", "Hold not found"),
    ("time_off_not_found", "PT404", "Time off not found"),
    ("lot_not_found", "PT404", "Credit grant not found"),
    ("feed_not_found", "PT404", "Calendar feed not found"),
    ("package_not_found", "PT404", "Package not found"),
    ("destination_not_found", "PT404", "Destination not found"),
    ("insufficient_credits", "PT402", "Insufficient credits: purchase credits first"),
    ("booking_conflict", "PT409", "Booking conflict: time slot unavailable"),
    ("client_conflict", "PT409", "Booking conflict: you already have a session at this time"),
    ("outside_availability", "PT409", "Booking conflict: outside available hours"),
    ("client_limit", "PT409", "Booking conflict: too many sessions"),
    ("person_inactive", "PT409", "Person is not active"),
    ("grant_revoked", "PT409", "Payment was revoked"),
    ("person_in_use", "PT409", "Person still has sessions to come"),
    ("invalid_transition", "PT409", "Session status does not allow this"),
    ("reschedule_refused", "PT409", "Session can no longer be moved"),
    ("hold_expired", "PT410", "Hold expired"),
    ("idempotency_key_reused", "PT422", "Idempotency key was used with other parameters"),
    ("busy", "PT503", "Booking is busy, try again"),
]
RAISE = "select bookingdb.raise_error('{}', '{{\"credits_balance\": 3}}')"


def test_the_classes_are_the_table() -> None:
    classes = [(error.code, f"PT{error.http_status}", error.message) for error in BY_CODE.values()]

    assert classes == [*TABLE, ("booking_failed", "PT500", "Booking failed")]


def test_a_class_has_the_name_of_its_code_and_is_public() -> None:
    for error in BY_CODE.values():
        assert error.__name__ == error.code.title().replace("_", "")
        assert getattr(bookingdb, error.__name__) is error
        assert error.__name__ in bookingdb.__all__


def test_booking_conflict_is_the_class_of_every_conflict() -> None:
    families = {error: BY_CODE[error].__mro__[1] for error in BY_CODE}

    assert families.pop("client_conflict") is families.pop("outside_availability") is BookingConflict
    assert families.pop("client_limit") is BookingConflict
    assert set(families.values()) == {BookingError}


@pytest.mark.parametrize("again", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy])
def test_errors_survive_pickling_and_copying(again: Callable[[Any], Any]) -> None:
    for error in BY_CODE.values():
        result = again(error({"parameter": "p_title"}, "Do something else."))

        assert type(result) is error
        assert result.detail == {"code": error.code, "parameter": "p_title"}
        assert str(result) == f"{error.message} (parameter: p_title). Do something else."


def test_without_context_there_is_still_the_code() -> None:
    error = InvalidDuration()

    assert error.detail == {"code": "invalid_duration"}
    assert error.hint is None
    assert str(error) == "Duration must be 15-180 minutes"


# --- from the database, through every driver ---


def psycopg_errors(world: World, statements: list[str]) -> Iterator[BaseException]:
    for statement in statements:
        with pytest.raises(psycopg.Error) as caught:
            world.run(statement)
        yield caught.value


def sqlalchemy_errors(world: World, statements: list[str], driver: str) -> Iterator[BaseException]:
    engine = sqlalchemy.create_engine(sqlalchemy_url(world, driver))
    for statement in statements:
        with engine.connect() as connection, pytest.raises(sqlalchemy.exc.DBAPIError) as caught:
            connection.exec_driver_sql(statement)
        yield caught.value
    engine.dispose()


async def asyncpg_errors(world: World, statements: list[str]) -> list[BaseException]:
    engine = create_async_engine(sqlalchemy_url(world, "asyncpg"))
    errors: list[BaseException] = []
    for statement in statements:
        async with engine.connect() as connection:
            with pytest.raises(sqlalchemy.exc.DBAPIError) as caught:
                await connection.exec_driver_sql(statement)
        errors.append(caught.value)
    await engine.dispose()
    return errors


async def errors_of(world: World, driver: str, statements: list[str]) -> list[BookingError]:
    match driver:
        case "psycopg":
            errors = list(psycopg_errors(world, statements))
        case "asyncpg":
            errors = await asyncpg_errors(world, statements)
        case _:
            errors = list(sqlalchemy_errors(world, statements, driver.removeprefix("sqlalchemy+")))
    return [from_driver_error(error) for error in errors]


DRIVERS = ["psycopg", "sqlalchemy+psycopg", "sqlalchemy+psycopg2", "asyncpg"]


@pytest.mark.parametrize("driver", DRIVERS)
async def test_error_of_the_database_becomes_the_class_of_its_code(world: World, driver: str) -> None:
    errors = await errors_of(world, driver, [RAISE.format(code) for code, _, _ in TABLE])

    assert [type(error) for error in errors] == [BY_CODE[code] for code, _, _ in TABLE]
    for error in errors:
        assert error.detail == {"code": error.code, "credits_balance": 3}
        assert error.hint


def test_the_database_says_the_same(world: World) -> None:
    said = []
    for error in psycopg_errors(world, [RAISE.format(code) for code, _, _ in TABLE]):
        assert isinstance(error, psycopg.Error)
        said.append((from_driver_error(error).code, error.sqlstate, error.diag.message_primary))

    assert said == TABLE


@pytest.mark.parametrize("driver", DRIVERS)
async def test_errors_of_postgres_itself(world: World, driver: str) -> None:
    world.run("create table rooms (during tstzrange, exclude using gist (during with &&))")
    world.run("insert into rooms values ('[2030-01-01,2030-01-02)')")
    with psycopg.connect(world.url) as other:
        other.execute("lock table bookingdb.policies")
        overlapping, impatient, unknown = await errors_of(
            world,
            driver,
            [
                "insert into rooms values ('[2030-01-01,2030-01-02)')",
                "do $$begin lock table bookingdb.policies nowait; end$$",
                "select secret from vault",
            ],
        )

    assert type(overlapping) is BookingConflict
    assert type(impatient) is Busy
    assert type(unknown) is BookingFailed
    assert unknown.detail == {"code": "booking_failed", "sqlstate": "42P01"}
    assert "secret" not in str(unknown)
    assert "vault" not in str(unknown)


@pytest.mark.parametrize("driver", DRIVERS)
async def test_unknown_error_is_booking_failed(world: World, driver: str) -> None:
    raised = [
        ("PT400", '{"code": "booking_conflict"}'),  # the number belongs to another row
        ("P0001", '{"code": "booking_conflict"}'),
        ("PT409", '{"code": "no_such_code"}'),
        ("PT409", '{"code": ["booking_conflict"]}'),
        ("PT409", '"booking_conflict"'),
        ("PT409", "booking_conflict"),
        ("PT409", ""),
    ]
    statements = [
        f"do $$begin raise exception using errcode = '{sqlstate}', message = 'm', detail = '{detail}'; end$$"
        for sqlstate, detail in raised
    ]

    for error, (sqlstate, _) in zip(await errors_of(world, driver, statements), raised, strict=True):
        assert type(error) is BookingFailed
        assert error.http_status == 500
        assert error.detail == {"code": "booking_failed", "sqlstate": sqlstate}


def test_the_driver_s_error_is_the_cause(world: World) -> None:
    client, therapist = world.client(), world.therapist()
    with pytest.raises(BookingError) as caught:
        Bookings(world.url).book_session(
            user_id=client, therapist_id=therapist, session_date=TOMORROW, session_time="10:00"
        )

    assert isinstance(caught.value.__cause__, psycopg.Error)
    assert caught.value.__cause__.sqlstate == "PT402"
    assert caught.value.detail == {"code": "insufficient_credits", "credits_balance": 0}


def test_under_sqlalchemy_the_cause_is_the_driver_s_error_too(world: World) -> None:
    engine = sqlalchemy.create_engine(sqlalchemy_url(world, "psycopg"))
    with engine.connect() as connection, pytest.raises(bookingdb.UserNotFound) as caught:
        Bookings(connection).get_credit_balance("00000000-0000-0000-0000-000000000000")
    engine.dispose()

    assert isinstance(caught.value.__cause__, psycopg.Error)
    assert caught.value.__cause__.sqlstate == "PT404"


def test_the_family_of_conflicts_is_complete() -> None:
    conflicts = {error for error in BY_CODE.values() if error.message.startswith("Booking conflict")}

    assert conflicts == {BookingConflict, ClientConflict, ClientLimit, OutsideAvailability}
    assert all(issubclass(error, BookingConflict) for error in conflicts)


@pytest.mark.parametrize(
    "url", ["postgressql://ann:secret@h/app", "host=h password=a secret", "postgresql://a:secret@[h"]
)
async def test_url_that_cannot_be_read_is_not_in_the_error(url: str) -> None:
    async def synchronously() -> object:
        return Bookings(url).get_policy()

    async def asynchronously() -> object:
        return await AsyncBookings(url).get_policy()

    for failing in (synchronously, asynchronously):
        with pytest.raises(BookingFailed) as caught:
            await failing()
        assert "secret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("statement", "hint"),
    [
        ("select * from get_policy(1, 2)", "bookingdb migrate"),
        ("select p.what_came_later from get_policy() as p", "bookingdb migrate"),
        ("execute asked", "DISCARD ALL"),
    ],
)
def test_answer_of_another_version_has_a_hint(world: World, statement: str, hint: str) -> None:
    world.run("create table asked_of (a integer)")
    world.run("prepare asked as select * from asked_of")
    world.run("alter table asked_of add column b integer")

    with pytest.raises(psycopg.Error) as caught:
        world.run(statement)

    assert hint in str(from_driver_error(caught.value).hint)
