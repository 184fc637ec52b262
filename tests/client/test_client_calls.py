"""What the builders refuse before the database is asked, and what instants become."""

import datetime as dt
import inspect
import json
import uuid
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookingdb import (
    BookingError,
    Bookings,
    BusyEvent,
    InvalidDate,
    InvalidDuration,
    InvalidParameter,
    InvalidSessionId,
    InvalidTherapistId,
    InvalidTime,
    InvalidTimeZone,
    InvalidUserId,
    SkippedTime,
    WeeklyWindow,
    calls,
)
from bookingdb.errors import from_driver_error
from bookingdb.policy import SETTINGS
from bookingdb.policy_setting import Type
from tests.support import TOMORROW, World
from tests.support.calls import SOMEBODY, VALUES

UTC = dt.UTC
BERLIN = ZoneInfo("Europe/Berlin")
# The longest that a policy may say.
FAR = dt.timedelta(days=3650)

DATES: dict[str, Any] = {"from_": "2030-01-07", "to": "2030-01-13"}
BOOKING: dict[str, Any] = {name: VALUES[name] for name in ("user_id", "therapist_id", "session_date", "session_time")}
AT: dict[str, Any] = {"user_id": SOMEBODY, "therapist_id": SOMEBODY}


def will_do(builder: Callable[..., calls.Call[Any]]) -> dict[str, Any]:
    """Parameters that a builder accepts: those that it needs."""
    needed = {}
    for name, parameter in inspect.signature(builder).parameters.items():
        is_needed = parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
        # These have an alternative, starts_at, and so a default.
        if is_needed or name in ("session_date", "session_time"):
            takes_dates = name in DATES and "datetime.datetime" not in str(parameter.annotation)
            needed[name] = DATES[name] if takes_dates else VALUES[name]
    return needed


BUILDERS: list[Callable[..., calls.Call[Any]]] = [
    value for name in calls.__all__ if inspect.isfunction(value := getattr(calls, name))
]
WILL_DO = {builder: will_do(builder) for builder in BUILDERS}
# One of its two parameters is needed, whichever.
WILL_DO[calls.revoke_grant] = WILL_DO[calls.reinstate_grant] = {"lot_id": SOMEBODY}
WILL_DO[calls.grant_package] = {"user_id": SOMEBODY, "package_id": SOMEBODY}


def builders_with(parameter: str) -> list[Callable[..., calls.Call[Any]]]:
    return [builder for builder in WILL_DO if parameter in inspect.signature(builder).parameters]


def refusal(builder: Callable[..., calls.Call[Any]], **changes: Any) -> BookingError:
    """Return the error with which a builder refuses parameters that would do but for these."""
    builder(**WILL_DO[builder])
    with pytest.raises(BookingError) as caught:
        builder(**{**WILL_DO[builder], **changes})
    assert caught.value.hint
    return caught.value


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
NOT_DURATIONS_OF_TIME = [5, 300.0, "5 minutes", dt.time(0, 5), b"1 day"]


def settings_of(type_: Type) -> list[str]:
    """The settings of a policy that are of a type."""
    names = [setting.name for setting in SETTINGS if setting.type == type_]
    assert names
    return names


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
    errors = {"user_id": InvalidUserId, "therapist_id": InvalidTherapistId, "session_id": InvalidSessionId}
    errors |= dict.fromkeys(("new_user_id", "from_user_id", "into_user_id"), InvalidUserId)
    errors["exclude_session_id"] = InvalidSessionId
    for parameter, error in errors.items():
        for builder in builders_with(parameter):
            optional = inspect.signature(builder).parameters[parameter].default is None
            if value is not None or not optional:
                assert type(refusal(builder, **{parameter: value})) is error
    if value is not None:
        assert refusal(calls.find_available_therapists, therapist_ids=[SOMEBODY, value]).detail["parameter"] == (
            "p_therapist_ids"
        )
    for parameter in ("hold_id", "lot_id", "time_off_id"):
        for builder in builders_with(parameter):
            if value is not None or parameter != "lot_id":
                assert refusal(builder, **{parameter: value}).detail == {
                    "code": "invalid_parameter",
                    "parameter": f"p_{parameter}",
                }


@pytest.mark.parametrize("value", [SOMEBODY, SOMEBODY.upper(), uuid.UUID(SOMEBODY)])
def test_ids_that_are_taken(value: Any) -> None:
    assert uuid.UUID(book(user_id=value)["p_user_id"]) == uuid.UUID(SOMEBODY)


@pytest.mark.parametrize("value", NOT_DATES)
def test_dates(value: Any) -> None:
    for builder in [*builders_with("session_date"), calls.set_date_override]:
        parameter = "date" if builder is calls.set_date_override else "session_date"
        assert type(refusal(builder, **{parameter: value})) is InvalidDate
    for parameter in DATES:
        for lists in (
            calls.list_available_slots,
            calls.list_available_days,
            calls.list_slot_states,
            calls.list_date_overrides,
            calls.list_opening_hours,
        ):
            assert type(refusal(lists, **{parameter: value})) is InvalidDate


@pytest.mark.parametrize("value", NOT_TIMES)
def test_times(value: Any) -> None:
    for parameter in ("session_time", "start_time", "end_time"):
        for builder in builders_with(parameter):
            assert type(refusal(builder, **{parameter: value})) is InvalidTime


def test_dates_and_times_that_are_taken() -> None:
    assert book()["p_session_date"] == book(session_date=dt.date(2030, 1, 7))["p_session_date"]
    assert book(session_time="23:59")["p_session_time"] == dt.time(23, 59)
    assert book(session_time=dt.time(0, 0))["p_session_time"] == dt.time(0, 0)


@pytest.mark.parametrize("value", NOT_DURATIONS)
def test_durations(value: Any) -> None:
    for builder in builders_with("duration_minutes"):
        if value is not None or builder not in (calls.reschedule_session, calls.reschedule_series):
            assert type(refusal(builder, duration_minutes=value)) is InvalidDuration


def test_a_session_that_is_moved_may_stay_as_long_as_it_was() -> None:
    assert calls.reschedule_session(**WILL_DO[calls.reschedule_session]).parameters["p_duration_minutes"] is None


@pytest.mark.parametrize("value", [15, 180])
def test_durations_that_are_taken(value: int) -> None:
    assert book(duration_minutes=value)["p_duration_minutes"] == value


@pytest.mark.parametrize("value", NOT_TEXTS)
@pytest.mark.parametrize(
    "parameter",
    ["session_type", "notes", "title", "reason", "payment_reference", "category", "email", "full_name", "source"],
)
def test_texts(value: Any, parameter: str) -> None:
    builders = builders_with(parameter)
    assert builders
    for builder in builders:
        if value is None and "None" in str(inspect.signature(builder).parameters[parameter].annotation):
            continue
        changes = {"lot_id": None} if parameter == "payment_reference" and "lot_id" in WILL_DO[builder] else {}
        error = refusal(builder, **{parameter: value, **changes})
        assert error.detail == {"code": "invalid_parameter", "parameter": f"p_{parameter}"}


@pytest.mark.parametrize("value", [7, b"UTC", "U\0TC", "\udfff", ZoneInfo("UTC")])
def test_time_zones(value: Any) -> None:
    for builder in [*builders_with("time_zone"), calls.set_policy]:
        assert type(refusal(builder, time_zone=value)) is InvalidTimeZone


@pytest.mark.parametrize("value", ["", "x" * 256, 7, "a\0b"])
def test_idempotency_keys(value: Any) -> None:
    builders = builders_with("idempotency_key")
    assert len(builders) >= 19
    for builder in builders:
        error = refusal(builder, idempotency_key=value)
        assert error.detail["parameter"] == "p_idempotency_key"
        assert builder(**WILL_DO[builder], idempotency_key="k").parameters["p_idempotency_key"] == "k"


@pytest.mark.parametrize("value", [True, 1.0, "1", None, 2**31])
def test_number_that_is_not_whole_is_refused(value: Any) -> None:
    for refused in (
        lambda: calls.grant_credits(SOMEBODY, value),
        lambda: calls.get_credit_history(SOMEBODY, limit=value),
        lambda: calls.list_sessions(limit=value),
        lambda: calls.adjust_credits(SOMEBODY, value, reason="r"),
        lambda: calls.grant_credits(SOMEBODY, 1, priority=value),
        lambda: calls.book_series(**BOOKING, occurrences=value),
        lambda: calls.find_available_therapists(VALUES["from_"], VALUES["to"], limit=value),
        lambda: calls.set_weekly_hours(SOMEBODY, [{**WINDOW, "weekday": value}]),
    ):
        with pytest.raises(InvalidParameter):
            refused()
    if value is not None:
        for builder in builders_with("step_minutes"):
            assert refusal(builder, step_minutes=value).detail["parameter"] == "p_step_minutes"
        for name in settings_of("integer"):
            assert refusal(calls.set_policy, **{name: value}).detail["parameter"] == name


@pytest.mark.parametrize("value", NOT_DURATIONS_OF_TIME)
def test_durations_of_time(value: Any) -> None:
    assert refusal(calls.hold_slot, ttl=value).detail["parameter"] == "p_ttl"
    assert refusal(calls.book_series, every=value).detail["parameter"] == "p_every"
    for name in settings_of("interval"):
        assert refusal(calls.set_policy, **{name: value}).detail["parameter"] == name


@pytest.mark.parametrize(
    "value", [None, "", "month", "1month", "1 Month", "-1 month", "1.5 days", "1 day\n", "1 hour", "1000 days"]
)
def test_wrong_distance_between_sessions_is_refused(value: Any) -> None:
    assert refusal(calls.book_series, every=value).detail["parameter"] == "p_every"


@pytest.mark.parametrize("value", ["1 month", "2 months", "1 week", "14 days", "1 year"])
def test_distances_between_the_sessions_of_a_series(value: str) -> None:
    assert calls.book_series(**BOOKING, occurrences=2, every=value).parameters["p_every"] == value


@pytest.mark.parametrize(
    "value", ["", "month", "1month", "-1 month", "1.5 days", "1 day\n", "1 hour", "1 year,1 day", 30]
)
def test_wrong_validity_of_a_package_is_refused(value: Any) -> None:
    assert refusal(calls.set_package, validity=value).detail["parameter"] == "p_validity"


@pytest.mark.parametrize("value", [None, "1 month", "1 year 6 months", "36500 days"])
def test_validities_of_a_package(value: str | None) -> None:
    assert calls.set_package("Ten", 10, validity=value).parameters["p_validity"] == value


@given(value=st.timedeltas())
def test_any_duration_of_time_is_exact(value: dt.timedelta) -> None:
    text = calls.hold_slot(**BOOKING, ttl=value).parameters["p_ttl"]

    days, _, seconds, _ = text.split()
    assert dt.timedelta(days=int(days)) + dt.timedelta(microseconds=int(seconds.replace(".", ""))) == value


def test_settings_not_given_stay_and_none_is_the_default_s() -> None:
    settings = calls.set_policy(time_zone=None, minimum_duration_minutes=30).parameters["p_settings"]

    assert json.loads(settings) == {"time_zone": None, "minimum_duration_minutes": 30}
    assert calls.set_policy().parameters["p_settings"] == "{}"


def test_a_lot_is_named_in_one_way() -> None:
    assert refusal(calls.revoke_grant, payment_reference="pi_1").detail["parameter"] == "p_lot_id"
    assert refusal(calls.revoke_grant, lot_id=None).detail["parameter"] == "p_lot_id"
    assert calls.revoke_grant(payment_reference="pi_1").parameters["p_lot_id"] is None


@pytest.mark.parametrize("value", [1, 0, "true", "no"])
def test_yes_and_no(value: Any) -> None:
    assert refusal(calls.cancel_session, refund=value).detail["parameter"] == "p_refund"
    assert refusal(calls.set_therapist_active, active=value).detail["parameter"] == "p_active"
    for name in settings_of("boolean"):
        assert refusal(calls.set_policy, **{name: value}).detail["parameter"] == name
    assert refusal(calls.book_session_with_override, override_hours=value).detail["parameter"] == "p_override_hours"


@pytest.mark.parametrize("value", ["noon", "", 1, True, ["window"]])
def test_choice_is_one_of_its_values(value: Any) -> None:
    for name in settings_of("choice"):
        assert refusal(calls.set_policy, **{name: value}).detail["parameter"] == name
    assert calls.set_policy(slot_anchor=None).parameters["p_settings"] == '{"slot_anchor": null}'


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
    no_instants: tuple[Any, ...] = (naive, None, "2030-01-07T00:00Z", dt.date(2030, 1, 7))
    for value in no_instants:
        for builder in (calls.find_available_therapists, calls.list_time_off):
            assert refusal(builder, from_=value).detail["parameter"] == "p_from"
            assert refusal(builder, to=value).detail["parameter"] == "p_to"
        assert refusal(calls.add_time_off, start=value).detail["parameter"] == "p_start"
        assert refusal(calls.add_time_off, end=value).detail["parameter"] == "p_end"
        if value is not None:
            assert refusal(calls.next_available_slot, after=value).detail["parameter"] == "p_after"
            assert refusal(calls.sync_external_busy, from_=value).detail["parameter"] == "p_from"
            assert refusal(calls.sync_external_busy, to=value).detail["parameter"] == "p_to"
        assert refusal(calls.get_credit_statement, from_=value).detail["parameter"] == "p_from"
        assert refusal(calls.get_credit_statement, to=value).detail["parameter"] == "p_to"


WINDOW: dict[str, Any] = {"weekday": 1, "start_time": "09:00", "end_time": "17:00"}
EVENT: dict[str, Any] = {
    "external_id": "a1",
    "start_time": "2030-01-07T10:00:00+01:00",
    "end_time": dt.datetime(2030, 1, 7, 11, tzinfo=BERLIN),
}


def sent(call: calls.Call[Any], parameter: str) -> Any:
    return json.loads(call.parameters[parameter])


def test_windows_of_a_week() -> None:
    for window in (
        WeeklyWindow(1, dt.time(9), dt.time(17)),
        WINDOW,
        {**WINDOW, "start_time": dt.time(9), "valid_from": None, "valid_to": None},
    ):
        assert sent(calls.set_weekly_hours(SOMEBODY, [window]), "p_hours") == [
            {**WINDOW, "valid_from": None, "valid_to": None}
        ]
    valid = {"valid_from": dt.date(2030, 1, 7), "valid_to": "2030-12-31"}
    (limited,) = sent(calls.set_weekly_hours(SOMEBODY, [{**WINDOW, "end_time": "24:00", **valid}]), "p_hours")
    assert limited == {**WINDOW, "end_time": "00:00", "valid_from": "2030-01-07", "valid_to": "2030-12-31"}
    assert sent(calls.set_weekly_hours(SOMEBODY, iter(())), "p_hours") == []


@pytest.mark.parametrize(
    "window",
    [
        *(None, 7, "mon", {}, (1, "09:00", "17:00"), {**WINDOW, "colour": "red"}),
        *({**WINDOW, "weekday": "1"}, {**WINDOW, "start_time": "9:00"}, {**WINDOW, "start_time": "24:00"}),
        *({**WINDOW, "end_time": None}, {**WINDOW, "valid_from": "tomorrow"}, {**WINDOW, "valid_to": ""}),
        *({"weekday": 1}, {"start_time": "09:00", "end_time": "17:00"}),
    ],
)
def test_wrong_window_of_a_week_is_refused(window: Any) -> None:
    assert refusal(calls.set_weekly_hours, hours=[WINDOW, window]).detail == {
        "code": "invalid_parameter",
        "parameter": "p_hours",
        "window": 2,
    }


def test_windows_of_a_date() -> None:
    expected = [{"start_time": "09:00", "end_time": "00:00"}]
    windows: list[Any] = [("09:00", "24:00"), [dt.time(9), dt.time(0)]]
    for window in (*windows, {"start_time": "09:00", "end_time": "24:00"}):
        assert sent(calls.set_date_override(SOMEBODY, "2030-01-07", [window]), "p_hours") == expected
    assert sent(calls.set_date_override(SOMEBODY, "2030-01-07", []), "p_hours") == []
    assert calls.set_date_override(SOMEBODY, "2030-01-07").parameters["p_hours"] is None


@pytest.mark.parametrize("window", [None, 7, "ab", "09:00-12:00", ("09:00",), ("9:00", "12:00"), WINDOW, {}])
def test_wrong_window_of_a_date_is_refused(window: Any) -> None:
    detail = refusal(calls.set_date_override, hours=[window]).detail
    assert (detail["parameter"], detail["window"]) == ("p_hours", 1)


def test_events_of_another_calendar() -> None:
    start, end = (dt.datetime(2030, 1, 7, hour, tzinfo=BERLIN) for hour in (10, 11))
    expected = [
        {
            "external_id": "a1",
            "start_time": "2030-01-07T09:00:00+00:00",
            "end_time": "2030-01-07T10:00:00+00:00",
        }
    ]
    for event in (BusyEvent("a1", start, end), EVENT):
        assert sent(calls.sync_external_busy(SOMEBODY, "google", [event]), "p_events") == expected
    gone = [{"external_id": "b2", "removed": True}]
    for event in (BusyEvent("b2", removed=True), {"external_id": "b2", "removed": True}):
        assert sent(calls.sync_external_busy(SOMEBODY, "google", [event]), "p_events") == gone


def test_event_is_sent_as_the_database_reads_it() -> None:
    """Local times and dates as they are; what nobody can read, so that it is rejected alone."""
    cases: list[tuple[Any, Any]] = [
        *((None, None), (7, None), ("a1", None), ({}, {}), (BusyEvent("a1"), {"external_id": "a1"})),
        ({"external_id": 7, "colour": "red"}, {"external_id": 7}),
        ({"external_id": "a\0b", "removed": "no"}, {"external_id": {}, "removed": "no"}),
        ({"external_id": "a", "removed": 1.5}, {"external_id": "a", "removed": {}}),
        (BusyEvent("a", free=True, uid="u"), {"external_id": "a", "free": True, "uid": "u"}),
        (
            BusyEvent("a", status="cancelled", transparency="transparent"),
            {"external_id": "a", "status": "cancelled", "transparency": "transparent"},
        ),
    ]
    for event, expected in cases:
        assert sent(calls.sync_external_busy(SOMEBODY, "google", [event]), "p_events") == [expected]
    times: list[tuple[Any, Any]] = [
        (dt.date(2030, 1, 7), "2030-01-07"),
        ("20300107", "2030-01-07"),
        (dt.datetime(2030, 1, 7, 9), "2030-01-07T09:00:00"),
        ("2030-01-07T09:00", "2030-01-07T09:00:00"),
        (dt.datetime(2030, 1, 7, 9, tzinfo=BERLIN), "2030-01-07T08:00:00+00:00"),
        ("soon", "soon"),
        (10**400, {}),
    ]
    for time, written in times:
        event = {"external_id": "a", "start_time": time}
        assert sent(calls.sync_external_busy(SOMEBODY, "google", [event]), "p_events") == [
            {"external_id": "a", "start_time": written}
        ]
    too_early = {"external_id": "a", "start_time": dt.datetime.min.replace(tzinfo=BERLIN)}
    assert sent(calls.sync_external_busy(SOMEBODY, "google", [too_early]), "p_events") == [{"external_id": "a"}]


@pytest.mark.parametrize("value", [None, 7, "[]", b"", WINDOW])
def test_value_that_is_no_list_is_refused(value: Any) -> None:
    assert refusal(calls.sync_external_busy, events=value).detail["parameter"] == "p_events"
    if value is not None:
        assert refusal(calls.set_weekly_hours, hours=value).detail["parameter"] == "p_hours"
        assert refusal(calls.set_date_override, hours=value).detail["parameter"] == "p_hours"


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
    refusals = {code: refusal(calls.book_session, **changes) for code, changes in wrong.items()}
    refusals["invalid_session_id"] = refusal(calls.cancel_session, session_id="x")
    for code, here in refusals.items():
        with pytest.raises(psycopg.Error) as raised:
            world.run("select bookingdb.raise_error(%s)", code)
        there = from_driver_error(raised.value)

        assert type(here) is type(there)
        assert here.detail == there.detail
        assert here.hint == there.hint


# --- instants ---


def named_by(parameters: dict[str, Any]) -> dt.datetime:
    """The instant that the parameters of a booking mean: the first, where the clocks show a time twice."""
    local = dt.datetime.combine(parameters["p_session_date"], parameters["p_session_time"])
    zone = parameters["p_time_zone"]
    return local.replace(tzinfo=UTC if zone == "Z" else ZoneInfo(zone)).astimezone(UTC)


def book_at(starts_at: Any, **changes: Any) -> dict[str, Any]:
    return dict(calls.book_session(**AT, starts_at=starts_at, **changes).parameters)


def test_instants_are_held_and_moved_to_as_booked() -> None:
    at = dt.datetime(2030, 7, 1, 23, 0, tzinfo=BERLIN)
    for zone in (None, "Asia/Kathmandu"):
        booked = book_at(at, time_zone=zone)
        held = calls.hold_slot(**AT, starts_at=at, time_zone=zone).parameters
        moved = calls.reschedule_session(SOMEBODY, starts_at=at, time_zone=zone).parameters
        for name in ("p_session_date", "p_session_time", "p_time_zone"):
            assert booked[name] == held[name] == moved[name]

    for builder in (calls.hold_slot, calls.reschedule_session):
        assert refusal(builder, starts_at=at).detail["parameter"] == "starts_at"


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
    assert parameters["p_time_zone"] == "Z"


def test_the_first_of_two_is_local_and_the_second_is_an_offset() -> None:
    first = dt.datetime(2030, 10, 27, 2, 30, tzinfo=BERLIN)

    assert book_at(first)["p_time_zone"] == "Europe/Berlin"
    assert book_at(first.replace(fold=1))["p_time_zone"] == "Z"
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
def test_instant_is_exact_in_every_zone(at: dt.datetime, zone: str, named: bool) -> None:
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


def test_instant_without_a_zone_is_booked_in_the_therapists(world: World) -> None:
    """And a time without a zone means that zone afterwards."""
    client, therapist = world.client(credits=1), world.therapist("Europe/Berlin")
    bookings = Bookings(world.connection)
    bookings.set_policy(maximum_advance=FAR)
    at = dt.datetime(2031, 6, 1, 10, tzinfo=dt.timezone(dt.timedelta(hours=2)))

    booked = bookings.book_session(user_id=client, therapist_id=therapist, starts_at=at)
    assert (booked.start_time, booked.scheduled_time, booked.time_zone) == (at, dt.time(10), "Europe/Berlin")
    moved = bookings.reschedule_session(booked.id, session_date="2031-06-02", session_time="10:00")
    assert (moved.start_time, moved.time_zone) == (at + dt.timedelta(days=1), "Europe/Berlin")
    moved = bookings.reschedule_session(booked.id, starts_at=at.astimezone(ZoneInfo("Asia/Tokyo")))
    assert (moved.start_time, moved.scheduled_time, moved.time_zone) == (at, dt.time(17), "Asia/Tokyo")


def test_the_database_books_both_of_two_equal_local_times(world: World) -> None:
    client, therapist = world.client(credits=2), world.therapist("Europe/Berlin")
    first = dt.datetime(2030, 10, 27, 2, 30, tzinfo=BERLIN)
    bookings = Bookings(world.connection)
    bookings.set_policy(maximum_advance=FAR)

    booked = [
        bookings.book_session(user_id=client, therapist_id=therapist, starts_at=first.replace(fold=fold))
        for fold in (0, 1)
    ]

    assert [session.start_time for session in booked] == [
        dt.datetime(2030, 10, 27, 0, 30, tzinfo=UTC),
        dt.datetime(2030, 10, 27, 1, 30, tzinfo=UTC),
    ]
    assert {(session.time_zone, session.scheduled_time) for session in booked} == {("Europe/Berlin", dt.time(2, 30))}
    assert world.violations() == []


# --- statements ---


def test_statements_for_drivers_that_number_their_parameters() -> None:
    call = calls.find_people("ada", limit=3)

    statement, parameters = call.numbered()

    assert statement.endswith("from public.find_people(p_search => $1::text, p_limit => $2::integer) as r")
    assert parameters == ("ada", 3)
