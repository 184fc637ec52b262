"""What the builders refuse before the database is asked, and what instants become."""

import datetime as dt
import uuid
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookingdb import (
    BookingError,
    Bookings,
    InvalidDate,
    InvalidDuration,
    InvalidParameter,
    InvalidSessionId,
    InvalidTherapistId,
    InvalidTime,
    InvalidTimeZone,
    InvalidUserId,
    SkippedTime,
    calls,
)
from bookingdb.errors import from_driver_error
from tests.support import TOMORROW, World

UTC = dt.UTC
BERLIN = ZoneInfo("Europe/Berlin")
SOMEBODY = "6f1c5b52-4f0a-4b7e-9d5f-6f5f0e6f7a10"

BOOKING: dict[str, Any] = {
    "user_id": SOMEBODY,
    "therapist_id": SOMEBODY,
    "session_date": "2030-01-07",
    "session_time": "10:00",
}
AT: dict[str, Any] = {"user_id": SOMEBODY, "therapist_id": SOMEBODY}


def book(**changes: Any) -> dict[str, Any]:
    return dict(calls.book_session(**{**BOOKING, **changes}).parameters)


# --- forms ---

NOT_IDS = [
    *("", "x", SOMEBODY[:-1], SOMEBODY + "0", f"{{{SOMEBODY}}}", SOMEBODY.replace("-", ""), SOMEBODY + "\n"),
    *("urn:uuid:" + SOMEBODY, SOMEBODY[:-1] + "\N{ARABIC-INDIC DIGIT ONE}", 7, None, SOMEBODY.encode()),
]
NOT_DATES = [
    *("", "2030-1-7", "20300107", "2030-02-30", "2030-13-01", "0000-01-01", "07.01.2030", "2030-01-07\n"),
    *("2030-W02-1", "203\N{ARABIC-INDIC DIGIT ZERO}-01-07", dt.datetime(2030, 1, 7), 20300107, None),
]
NOT_TIMES = [
    *(
        "",
        "9:00",
        "09:00:00",
        "24:00",
        "10:60",
        "10:00 AM",
        "1000",
        "10:00\n",
        "10:0\N{ARABIC-INDIC DIGIT ZERO}",
    ),
    *("10:00+01", dt.time(10, 0, 1), dt.time(10, 0, 0, 1), dt.time(10, tzinfo=UTC), 10, None),
]
NOT_DURATIONS = [14, 181, 0, -60, 100000, True, 60.0, "60", None]
NOT_TEXTS = [None, 7, b"video", "a\0b", "\ud800"]


@pytest.mark.parametrize("value", NOT_IDS)
def test_ids(value: Any) -> None:
    with pytest.raises(InvalidUserId):
        book(user_id=value)
    with pytest.raises(InvalidTherapistId):
        book(therapist_id=value)
    with pytest.raises(InvalidUserId):
        calls.get_credit_balance(value)
    with pytest.raises(InvalidTherapistId):
        calls.set_therapist_active(value, True)
    with pytest.raises(InvalidParameter):
        calls.lock_for_booking([SOMEBODY, value])
    if value is not None:  # these may be left out
        with pytest.raises(InvalidSessionId):
            calls.check_booking_conflict(
                therapist_id=SOMEBODY,
                session_date="2030-01-07",
                start_time="10:00",
                end_time="11:00",
                exclude_session_id=value,
            )
        with pytest.raises(InvalidUserId):
            calls.list_sessions(user_id=value)
        with pytest.raises(InvalidTherapistId):
            calls.list_sessions(therapist_id=value)


@pytest.mark.parametrize("value", [SOMEBODY, SOMEBODY.upper(), uuid.UUID(SOMEBODY)])
def test_ids_that_are_taken(value: Any) -> None:
    assert uuid.UUID(book(user_id=value)["p_user_id"]) == uuid.UUID(SOMEBODY)


@pytest.mark.parametrize("value", NOT_DATES)
def test_dates(value: Any) -> None:
    with pytest.raises(InvalidDate):
        book(session_date=value)


@pytest.mark.parametrize("value", NOT_TIMES)
def test_times(value: Any) -> None:
    with pytest.raises(InvalidTime):
        book(session_time=value)
    with pytest.raises(InvalidTime):
        calls.check_booking_conflict(
            therapist_id=SOMEBODY, session_date="2030-01-07", start_time="10:00", end_time=value
        )


def test_dates_and_times_that_are_taken() -> None:
    assert book()["p_session_date"] == book(session_date=dt.date(2030, 1, 7))["p_session_date"]
    assert book(session_time="23:59")["p_session_time"] == dt.time(23, 59)
    assert book(session_time=dt.time(0, 0))["p_session_time"] == dt.time(0, 0)


@pytest.mark.parametrize("value", NOT_DURATIONS)
def test_durations(value: Any) -> None:
    with pytest.raises(InvalidDuration):
        book(duration_minutes=value)


@pytest.mark.parametrize("value", [15, 180])
def test_durations_that_are_taken(value: int) -> None:
    assert book(duration_minutes=value)["p_duration_minutes"] == value


@pytest.mark.parametrize("value", NOT_TEXTS)
@pytest.mark.parametrize("parameter", ["session_type", "notes", "title"])
def test_texts(value: Any, parameter: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        book(**{parameter: value})
    assert caught.value.detail == {"code": "invalid_parameter", "parameter": f"p_{parameter}"}


@pytest.mark.parametrize("value", [7, b"UTC", "U\0TC", "\udfff", ZoneInfo("UTC")])
def test_time_zones(value: Any) -> None:
    with pytest.raises(InvalidTimeZone):
        book(time_zone=value)


@pytest.mark.parametrize("value", ["", "x" * 256, 7, "a\0b"])
def test_idempotency_keys(value: Any) -> None:
    with pytest.raises(InvalidParameter) as caught:
        book(idempotency_key=value)
    assert caught.value.detail["parameter"] == "p_idempotency_key"
    with pytest.raises(InvalidParameter):
        calls.grant_credits(SOMEBODY, 1, idempotency_key=value)


@pytest.mark.parametrize("value", [True, 1.0, "1", None, 2**31])
def test_whole_numbers(value: Any) -> None:
    for refused in (
        lambda: calls.grant_credits(SOMEBODY, value),
        lambda: calls.get_credit_history(SOMEBODY, limit=value),
        lambda: calls.list_sessions(limit=value),
    ):
        with pytest.raises(InvalidParameter):
            refused()


def test_instants_need_a_zone() -> None:
    naive = dt.datetime(2030, 1, 7)
    for refused in (
        lambda: calls.grant_credits(SOMEBODY, 1, expires_at=naive),
        lambda: calls.get_credit_history(SOMEBODY, before=naive),
        lambda: calls.list_sessions(starts_from=naive),
        lambda: calls.list_sessions(starts_before=naive),
    ):
        with pytest.raises(InvalidParameter):
            refused()


def test_a_limit_of_nothing_and_a_therapist_half_active_are_refused() -> None:
    not_a_bool: Any = 1
    with pytest.raises(InvalidParameter):
        calls.list_sessions(limit=0)
    with pytest.raises(InvalidParameter):
        calls.set_therapist_active(SOMEBODY, not_a_bool)


def test_python_and_the_database_say_the_same(world: World) -> None:
    skipped = {
        "session_date": None,
        "session_time": None,
        "starts_at": dt.datetime(2030, 3, 31, 2, 30, tzinfo=BERLIN),
    }
    wrong: dict[str, dict[str, Any]] = {
        "invalid_user_id": {"user_id": "x"},
        "invalid_therapist_id": {"therapist_id": "x"},
        "invalid_date": {"session_date": "x"},
        "invalid_time": {"session_time": "x"},
        "invalid_duration": {"duration_minutes": 0},
        "invalid_time_zone": {"time_zone": "\0"},
        "skipped_time": skipped,
    }
    for code, changes in wrong.items():
        with pytest.raises(BookingError) as here:
            book(**changes)
        with pytest.raises(psycopg.Error) as raised:
            world.run("select bookingdb.raise_error(%s)", code)
        there = from_driver_error(raised.value)

        assert type(here.value) is type(there)
        assert here.value.detail == there.detail
        assert here.value.hint == there.hint


# --- instants ---


def named_by(parameters: dict[str, Any]) -> dt.datetime:
    """The instant that the parameters of a booking mean: the first, where the clocks show a time twice."""
    local = dt.datetime.combine(parameters["p_session_date"], parameters["p_session_time"])
    return local.replace(tzinfo=ZoneInfo(parameters["p_time_zone"])).astimezone(UTC)


def book_at(starts_at: Any, **changes: Any) -> dict[str, Any]:
    return dict(calls.book_session(**AT, starts_at=starts_at, **changes).parameters)


def test_an_instant_is_written_down_in_its_own_zone() -> None:
    parameters = book_at(dt.datetime(2030, 7, 1, 10, 0, tzinfo=BERLIN))

    assert parameters["p_session_date"] == dt.date(2030, 7, 1)
    assert parameters["p_session_time"] == dt.time(10, 0)
    assert parameters["p_time_zone"] == "Europe/Berlin"


def test_a_zone_given_wins() -> None:
    parameters = book_at(dt.datetime(2030, 7, 1, 23, 0, tzinfo=UTC), time_zone="Asia/Kathmandu")

    assert parameters["p_session_date"] == dt.date(2030, 7, 2)
    assert parameters["p_session_time"] == dt.time(4, 45)
    assert parameters["p_time_zone"] == "Asia/Kathmandu"


def test_an_offset_is_no_zone() -> None:
    parameters = book_at(dt.datetime(2030, 7, 1, 10, 0, tzinfo=dt.timezone(dt.timedelta(hours=2))))

    assert parameters["p_session_time"] == dt.time(8, 0)
    assert parameters["p_time_zone"] == "UTC"


def test_the_first_of_two_is_local_and_the_second_is_utc() -> None:
    first = dt.datetime(2030, 10, 27, 2, 30, tzinfo=BERLIN)

    assert book_at(first)["p_time_zone"] == "Europe/Berlin"
    assert book_at(first.replace(fold=1))["p_time_zone"] == "UTC"
    assert named_by(book_at(first)) == dt.datetime(2030, 10, 27, 0, 30, tzinfo=UTC)
    assert named_by(book_at(first.replace(fold=1))) == dt.datetime(2030, 10, 27, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize("time_zone", [None, "Europe/Berlin", "UTC"])
@pytest.mark.parametrize("fold", [0, 1])
def test_a_time_that_does_not_exist_is_refused(time_zone: str | None, fold: int) -> None:
    with pytest.raises(SkippedTime):
        book_at(dt.datetime(2030, 3, 31, 2, 30, fold=fold, tzinfo=BERLIN), time_zone=time_zone)


@given(
    # Since 1900: also offsets like +00:53:28, in which no local time at a full minute names these instants.
    at=st.datetimes(dt.datetime(1900, 1, 2), dt.datetime(2100, 1, 1), timezones=st.just(UTC)),
    zone=st.sampled_from(sorted(available_timezones())),
    named=st.booleans(),
)
def test_whatever_the_zone_the_instant_is_exact(at: dt.datetime, zone: str, named: bool) -> None:
    at = at.replace(second=0, microsecond=0)
    starts_at, time_zone = (at, zone) if named else (at.astimezone(ZoneInfo(zone)), None)

    assert named_by(book_at(starts_at, time_zone=time_zone)) == at


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Antarctica/Troll"])
def test_around_clock_changes_the_instant_is_exact(zone: str) -> None:
    quarters = [dt.datetime(2030, 1, 1, tzinfo=UTC) + dt.timedelta(minutes=15 * step) for step in range(365 * 96)]
    local = [quarter.astimezone(ZoneInfo(zone)) for quarter in quarters]
    around = [
        at
        for at, before, after in zip(local[4:], local, local[8:], strict=False)
        if before.utcoffset() != after.utcoffset()
    ]

    assert len(around) == 16  # two clock changes
    assert any(at.fold for at in around)
    for at in around:
        # Compared in UTC: Python calls a time that occurs twice unequal to every time of another zone.
        assert named_by(book_at(at)) == at.astimezone(UTC)


@pytest.mark.parametrize(
    ("starts_at", "error"),
    [
        (dt.datetime(2030, 7, 1, 10), InvalidTime),
        (dt.datetime(2030, 7, 1, 10, 0, 1, tzinfo=UTC), InvalidTime),
        (dt.datetime(2030, 7, 1, 10, 0, 0, 1, tzinfo=BERLIN), InvalidTime),
        ("2030-07-01T10:00Z", InvalidTime),
        (dt.date(2030, 7, 1), InvalidTime),
        (dt.datetime(9999, 12, 31, 23, tzinfo=dt.timezone(-dt.timedelta(hours=5))), InvalidDate),
        (dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=5))), InvalidDate),
    ],
)
def test_instants_that_are_refused(starts_at: Any, error: type[BookingError]) -> None:
    with pytest.raises(error) as caught:
        book_at(starts_at)
    assert caught.value.hint


@pytest.mark.parametrize("time_zone", ["", "Mars", "Europe", "../etc/passwd", "Europe/Berlin\n", 7])
def test_an_instant_in_a_zone_that_is_none(time_zone: Any) -> None:
    with pytest.raises(InvalidTimeZone):
        book_at(dt.datetime(2030, 7, 1, 10, tzinfo=UTC), time_zone=time_zone)


@pytest.mark.parametrize("both", [{"session_date": "2030-01-07"}, {"session_time": "10:00"}, BOOKING])
def test_date_and_time_or_an_instant_but_not_both(both: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter):
        calls.book_session(**{**AT, **both}, starts_at=dt.datetime(2030, 7, 1, 10, tzinfo=UTC))


def test_the_database_books_that_instant(world: World) -> None:
    therapist = world.therapist("America/New_York")
    zones = ("UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Apia", "Asia/Kathmandu")
    for days, zone in enumerate(zones):
        local = dt.datetime.combine(TOMORROW + dt.timedelta(days=3 * days), dt.time(9, 30), ZoneInfo(zone))
        client = world.client(credits=2)
        for starts_at, time_zone in ((local, None), ((local + dt.timedelta(hours=1)).astimezone(UTC), zone)):
            session = Bookings(world.connection).book_session(
                user_id=client, therapist_id=therapist, starts_at=starts_at, time_zone=time_zone
            )

            assert session.start_time == starts_at
            assert session.start_time.tzinfo is UTC
            assert session.scheduled_date == local.date()
            assert session.scheduled_time == (dt.time(9, 30) if time_zone is None else dt.time(10, 30))
            assert session.time_zone == zone


def test_the_database_books_both_of_two_equal_local_times(world: World) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    first = dt.datetime(2040, 10, 28, 2, 30, tzinfo=BERLIN)
    bookings = Bookings(world.connection)

    booked = [
        bookings.book_session(user_id=client, therapist_id=therapist, starts_at=first.replace(fold=fold))
        for fold in (0, 1)
    ]

    assert [session.start_time for session in booked] == [
        dt.datetime(2040, 10, 28, 0, 30, tzinfo=UTC),
        dt.datetime(2040, 10, 28, 1, 30, tzinfo=UTC),
    ]
    assert [session.time_zone for session in booked] == ["Europe/Berlin", "UTC"]


# --- statements ---


def test_statements_for_drivers_that_number_their_parameters() -> None:
    call = calls.list_sessions(user_id=SOMEBODY, limit=3)

    statement, parameters = call.numbered()

    assert "where r.user_id = $1::uuid order by" in statement
    assert statement.endswith("limit $2::integer")
    assert parameters == (SOMEBODY, 3)
