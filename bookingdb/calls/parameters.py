"""The checks of parameters, and the form in which each is sent.

Each function checks one kind of parameter and returns the :class:`~bookingdb.calls.call.Argument`, or raises the
error that the database would raise, with the same hint.
"""

import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from bookingdb.calls.call import Argument
from bookingdb.errors import (
    BookingError,
    InvalidDate,
    InvalidDuration,
    InvalidParameter,
    InvalidSessionId,
    InvalidTherapistId,
    InvalidTime,
    InvalidTimeZone,
    InvalidUserId,
    SkippedTime,
)
from bookingdb.policy import SETTINGS
from bookingdb.records import BusyEvent, WeeklyWindow

_UUID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME: Final = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")
_EVERY: Final = re.compile(r"[0-9]{1,3} (?:day|week|month|year)s?")
_VALIDITY: Final = re.compile(r"[0-9]{1,5} (?:day|week|month|year)s?(?: [0-9]{1,5} (?:day|week|month|year)s?)*")

# Postgres has no character 0, and UTF-8 no half of a surrogate pair (json.loads makes those).
_UNSENDABLE: Final = re.compile("[\0\ud800-\udfff]")

_LARGEST_INTEGER: Final = 2**31 - 1

_ID_HINTS: Final[Mapping[type[BookingError], str]] = {
    InvalidUserId: "Give the user's id, a UUID.",
    InvalidTherapistId: "Give the therapist's id, a UUID.",
    InvalidSessionId: "Give the session's id, a UUID.",
}
_DATE_HINT: Final = "Give a date as YYYY-MM-DD, between 1900 and 2999."
_TIME_HINT: Final = "Give a time as HH:MM, from 00:00 to 23:59, without seconds."
_SKIPPED_HINT: Final = "On this day the clocks jump over this time: choose an earlier or a later one."
_TIME_ZONE_HINT: Final = "Give an IANA name such as Europe/Berlin."
_STARTS_AT_HINT: Final = "Give starts_at as a datetime with a time zone, at a full minute."


def invalid(parameter: str, hint: str) -> InvalidParameter:
    """Return the refusal of a parameter that has no error of its own."""
    return InvalidParameter({"parameter": parameter}, hint)


def id_(value: UUID | str | None, error: type[BookingError]) -> Argument:
    """An id, with the error that its absence has."""
    if not is_id(value):
        raise error(hint=_ID_HINTS[error])
    return Argument("uuid", str(value))


def optional_id(value: UUID | str | None, error: type[BookingError]) -> Argument:
    """An id, or None."""
    return Argument("uuid", None) if value is None else id_(value, error)


def other_id(parameter: str, value: UUID | str) -> Argument:
    """An id that has no error of its own."""
    if not is_id(value):
        raise invalid(parameter, "Give an id, a UUID.")
    return Argument("uuid", str(value))


def optional_other_id(parameter: str, value: UUID | str | None) -> Argument:
    """An id that has no error of its own, or None."""
    return Argument("uuid", None) if value is None else other_id(parameter, value)


def ids(parameter: str, values: Iterable[UUID | str], hint: str) -> Argument:
    """Any number of ids."""
    values = list(values)
    if not all(is_id(value) for value in values):
        raise invalid(parameter, hint)
    return Argument("uuid[]", [str(value) for value in values])


def is_id(value: UUID | str | None) -> bool:
    """Tell whether this is a UUID, or its usual text."""
    return isinstance(value, UUID) or (isinstance(value, str) and _UUID.fullmatch(value) is not None)


def date_(value: date | str | None) -> Argument:
    """A date or its text."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return Argument("date", value)
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return Argument("date", date.fromisoformat(value))
        except ValueError:  # the 30th of February
            pass
    raise InvalidDate(hint=_DATE_HINT)


def optional_date(value: date | str | None) -> Argument:
    """A date or its text, or None."""
    return Argument("date", None) if value is None else date_(value)


def time_(value: time | str | None) -> Argument:
    """A time of the day at a full minute, or its text."""
    if isinstance(value, time) and value.tzinfo is None and not (value.second or value.microsecond):
        return Argument("time", value)
    if isinstance(value, str) and _TIME.fullmatch(value):
        return Argument("time", time.fromisoformat(value))
    raise InvalidTime(hint=_TIME_HINT)


def zone_name(value: str | None) -> Argument:
    """The name of a time zone, or None."""
    # The database knows which names there are; here only what cannot be sent is refused.
    if value is None or (isinstance(value, str) and _is_sendable(value)):
        return Argument("text", value)
    raise InvalidTimeZone(hint=_TIME_ZONE_HINT)


def duration(value: int) -> Argument:
    """The minutes of a session."""
    if isinstance(value, int) and not isinstance(value, bool) and 15 <= value <= 180:
        return Argument("integer", value)
    raise InvalidDuration(hint="Give whole minutes from 15 to 180.")


def optional_duration(value: int | None) -> Argument:
    """The minutes of a session, or None."""
    return Argument("integer", None) if value is None else duration(value)


def interval(parameter: str, value: timedelta) -> Argument:
    """A timedelta."""
    # As a text that means the same whatever the connection's IntervalStyle is: both parts have a sign.
    if not isinstance(value, timedelta):
        raise invalid(parameter, "Give a timedelta.")
    text = f"{value.days} days +{value.seconds}.{value.microseconds:06} seconds"
    return Argument("text::interval", text)


def optional_interval(parameter: str, value: timedelta | None) -> Argument:
    """A timedelta, or None."""
    return Argument("text::interval", None) if value is None else interval(parameter, value)


def every(value: timedelta | str) -> Argument:
    """Accept the time from one session of a series to the next: a timedelta or a text."""
    return _days("p_every", value, _EVERY)


def optional_validity(value: timedelta | str | None) -> Argument:
    """Accept how long the credits of a package can be spent: a timedelta, a text, or None."""
    return Argument("text::interval", None) if value is None else _days("p_validity", value, _VALIDITY)


def _days(parameter: str, value: timedelta | str, form: re.Pattern[str]) -> Argument:
    if not isinstance(value, str):
        return interval(parameter, value)
    if not form.fullmatch(value):
        raise invalid(parameter, "Give a timedelta of whole days, or a text such as '1 month'.")
    return Argument("text::interval", value)


_SETTINGS: Final = {setting.name: setting for setting in SETTINGS}


def settings(values: Mapping[str, object]) -> Argument:
    """The settings of a policy, as JSON."""
    settings = {name: _setting(name, value) for name, value in values.items()}
    # As a text, because an application may have told its driver to encode what is sent as jsonb.
    return Argument("text::jsonb", json.dumps(settings))


def _setting(name: str, value: Any) -> Any:
    if name not in _SETTINGS:
        raise TypeError(f"set_policy() got an unexpected keyword argument {name!r}")
    match _SETTINGS[name].type:
        case "time zone":
            return zone_name(value).value
        case "choice":
            return _optional_choice(name, value, _SETTINGS[name].choices)
        case "interval":
            return optional_interval(name, value).value
        case "boolean":
            return optional_boolean(name, value).value
        case "integer":
            return optional_integer(name, value).value


def _optional_choice(parameter: str, value: Any, choices: Sequence[str]) -> str | None:
    if value is not None and (not isinstance(value, str) or value not in choices):
        raise invalid(parameter, f"Give {' or '.join(map(repr, choices))}.")
    return value


def changes(parameter: str, value: Mapping[str, Any]) -> Argument:
    """Changes of a row, as JSON: texts, times, booleans, None, and mappings of those."""
    if not isinstance(value, Mapping):
        raise invalid(parameter, "Give a mapping of what changes.")
    # As a text, because an application may have told its driver to encode what is sent as jsonb.
    return Argument("text::jsonb", json.dumps(_change(parameter, value)))


def _change(parameter: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_change(parameter, name): _change(parameter, item) for name, item in value.items()}
    if isinstance(value, str):
        return text(parameter, value).value
    if isinstance(value, time):
        return _text_of(time_(value).value)
    if value is None or isinstance(value, bool):
        return value
    raise invalid(parameter, "Give texts, times, True, False or None.")


def boolean(parameter: str, value: bool) -> Argument:
    """True or False."""
    if isinstance(value, bool):
        return Argument("boolean", value)
    raise invalid(parameter, "Give True or False.")


def optional_boolean(parameter: str, value: bool | None) -> Argument:
    """True, False or None."""
    return Argument("boolean", None) if value is None else boolean(parameter, value)


def override(values: Iterable[str] | None) -> Argument:
    """The names of the rules that do not count, or None."""
    if values is None:
        return Argument("text[]", None)
    names = list(values)
    if isinstance(values, str) or not all(isinstance(name, str) and _is_sendable(name) for name in names):
        raise invalid("p_override", "Give a list of names of rules, such as ['minimum_notice'].")
    return Argument("text[]", names)


def share(parameter: str, value: Decimal | float) -> Argument:
    """A share: more than 0, and at most 1."""
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        # As text, because a float has the digits that were meant only there.
        number = Decimal(str(value))
        if number.is_finite() and 0 < number <= 1:
            return Argument("double precision", number)
    raise invalid(parameter, "Give a number over 0, and at most 1.")


def integer(parameter: str, value: int) -> Argument:
    """A whole number that fits into Postgres's integer."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST_INTEGER:
        return Argument("integer", value)
    raise invalid(parameter, f"Give a whole number up to {_LARGEST_INTEGER}.")


def optional_integer(parameter: str, value: int | None) -> Argument:
    """A whole number that fits into Postgres's integer, or None."""
    return Argument("integer", None) if value is None else integer(parameter, value)


def _is_sendable(value: str) -> bool:
    return _UNSENDABLE.search(value) is None


def text(parameter: str, value: str) -> Argument:
    """A text that Postgres can keep."""
    if isinstance(value, str) and _is_sendable(value):
        return Argument("text", value)
    raise invalid(parameter, "Give a text without NUL and surrogate characters.")


def optional_text(parameter: str, value: str | None) -> Argument:
    """A text that Postgres can keep, or None."""
    return Argument("text", None) if value is None else text(parameter, value)


def optional_texts(parameter: str, values: Iterable[str] | None) -> Argument:
    """Any number of texts that Postgres can keep, or None."""
    return Argument("text[]", None) if values is None else texts(parameter, values)


def texts(parameter: str, values: Iterable[str]) -> Argument:
    """Any number of texts that Postgres can keep."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise invalid(parameter, "Give a list of texts.")
    return Argument("text[]", [text(parameter, value).value for value in values])


def optional_object(parameter: str, value: Mapping[str, Any] | None) -> Argument:
    """An object that JSON can write, or None."""
    if value is None:
        return Argument("jsonb", None)
    if isinstance(value, Mapping):
        try:
            return Argument("jsonb", text(parameter, json.dumps(dict(value), allow_nan=False)).value)
        except (TypeError, ValueError):
            pass
    raise invalid(parameter, "Give a mapping of texts to values that JSON can write.")


def key(value: str | None) -> Argument:
    """An idempotency key, or None."""
    if value is not None and not (isinstance(value, str) and 1 <= len(value) <= 255):
        raise InvalidParameter(
            {"parameter": "p_idempotency_key", "minimum_length": 1, "maximum_length": 255},
            "Give a text of 1 to 255 characters.",
        )
    return optional_text("p_idempotency_key", value)


def instant(parameter: str, value: datetime) -> Argument:
    """A datetime with a time zone."""
    if isinstance(value, datetime) and value.utcoffset() is not None:
        return Argument("timestamptz", value)
    raise invalid(parameter, "Give a datetime with a time zone.")


def optional_instant(parameter: str, value: datetime | None) -> Argument:
    """A datetime with a time zone, or None."""
    return Argument("timestamptz", None) if value is None else instant(parameter, value)


_WINDOW: Final = "window"
_WINDOWS_HINT: Final = (
    "Give windows with start_time and end_time, times or texts such as 09:00; an end at or before the start is on the"
    " next day."
)
_WEEKLY_WINDOWS_HINT: Final = (
    "Give windows with weekday (1 is Monday, 7 is Sunday), start_time and end_time, times or texts such as 09:00, and"
    " valid_from and valid_to, dates, where they do not hold for ever; every_weeks, 2 to 8, where they do not hold"
    " every week; time_zone where that is not the therapist's."
)
_EVENTS_HINT: Final = "Give a list of events, each a BusyEvent or a mapping with its fields."


def optional_weekly_windows(parameter: str, values: Iterable[WeeklyWindow | Mapping[str, Any]] | None) -> Argument:
    """The windows of a week, as JSON, or None."""
    if values is None:
        return Argument("text::jsonb", None)
    return _objects(parameter, _WINDOW, values, _weekly_window, _WEEKLY_WINDOWS_HINT)


def optional_windows(
    parameter: str, values: Iterable[tuple[time | str, time | str] | Mapping[str, Any]] | None
) -> Argument:
    """The windows of a day, as JSON, or None."""
    if values is None:
        return Argument("text::jsonb", None)
    return _objects(parameter, _WINDOW, values, _window, _WINDOWS_HINT)


def events(parameter: str, values: Iterable[BusyEvent | Mapping[str, Any]]) -> Argument:
    """Return the events of another calendar as JSON; the database says which of them cannot be read, and why."""
    if not isinstance(values, Iterable) or isinstance(values, str | bytes | Mapping):
        raise invalid(parameter, _EVENTS_HINT)
    return Argument("text::jsonb", json.dumps([_event(value) for value in values]))


def _objects(
    parameter: str, name: str, values: Iterable[Any], read: Callable[[Any], dict[str, Any]], hint: str
) -> Argument:
    """Return an array of JSON objects; the refusal says which of them, counted from 1, cannot be one."""
    if not isinstance(values, Iterable) or isinstance(values, str | bytes | Mapping):
        raise invalid(parameter, hint)
    objects = []
    for number, value in enumerate(values, start=1):
        try:
            objects.append(read(value))
        except (BookingError, TypeError, ValueError, OverflowError):
            raise InvalidParameter({"parameter": parameter, name: number}, hint) from None
    # As a text, because an application may have told its driver to encode what is sent as jsonb.
    return Argument("text::jsonb", json.dumps(objects))


def _weekly_window(value: WeeklyWindow | Mapping[str, Any]) -> dict[str, Any]:
    given = _fields(value, WeeklyWindow)
    window: dict[str, Any] = {"weekday": integer("weekday", given.pop("weekday")).value}
    for name in ("valid_from", "valid_to"):
        day = given.pop(name, None)
        window[name] = None if day is None else _text_of(date_(day).value)
    # Only where they say something: a database of an earlier version does not know them.
    every_weeks, zone = given.pop("every_weeks", 1), given.pop("time_zone", None)
    if every_weeks not in (1, None):
        window["every_weeks"] = integer("every_weeks", every_weeks).value
    if zone is not None:
        window["time_zone"] = zone_name(zone).value
    return window | _window(given)


def _window(value: tuple[time | str, time | str] | Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        start, end = value
        value = {"start_time": start, "end_time": end}
    if value.keys() != {"start_time", "end_time"}:
        raise ValueError
    # 24:00, which Python does not know, is the midnight at which a day ends.
    end = "00:00" if value["end_time"] == "24:00" else value["end_time"]
    return {"start_time": _text_of(time_(value["start_time"]).value), "end_time": _text_of(time_(end).value)}


def _event(value: Any) -> dict[str, Any] | None:
    if isinstance(value, BusyEvent):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if not isinstance(value, Mapping):
        return None
    given = {field.name: value.get(field.name) for field in dataclasses.fields(BusyEvent)}
    for name in ("start_time", "end_time"):
        given[name] = _event_time(given[name])
    return {name: _sendable(item) for name, item in given.items() if item is not None and item is not False}


def _sendable(value: Any) -> Any:
    """Return what JSON and Postgres can hold, else an object, which the database rejects in its place."""
    if isinstance(value, str):
        return value if _is_sendable(value) else {}
    return value if isinstance(value, int) and abs(value) <= _LARGEST_INTEGER else {}


def _event_time(value: Any) -> Any:
    """Return a time as the database reads it, or what was given where it is none."""
    if isinstance(value, str):
        for kind in (date, datetime):
            try:
                value = kind.fromisoformat(value)
                break
            except ValueError:
                pass
    if not isinstance(value, datetime):
        return value.isoformat() if isinstance(value, date) else value
    try:
        return (value if value.utcoffset() is None else value.astimezone(UTC)).isoformat()
    except OverflowError:  # a day before the year 1 or after 9999
        return None


def _fields(value: Any, model: type[WeeklyWindow]) -> dict[str, Any]:
    """Return the fields of a model, or the items of a mapping that stands for one."""
    if isinstance(value, model):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(model)}
    given = dict(value)
    names = [field.name for field in dataclasses.fields(model)]
    if not {names[0]} <= given.keys() <= set(names):
        raise ValueError
    return given


def _text_of(value: date | time) -> str:
    return value.strftime("%H:%M") if isinstance(value, time) else value.isoformat()


def local_time(
    session_date: date | str | None,
    session_time: time | str | None,
    starts_at: datetime | None,
    time_zone: str | None,
) -> dict[str, Argument]:
    """Return the arguments that say when a session is: as they are, or made from `starts_at`."""
    if starts_at is not None:
        if session_date is not None or session_time is not None:
            raise invalid("starts_at", "Give starts_at, or session_date and session_time, but not both.")
        session_date, session_time, time_zone = _local(starts_at, zone_name(time_zone).value)
    return {
        "p_session_date": date_(session_date),
        "p_session_time": time_(session_time),
        "p_time_zone": zone_name(time_zone),
    }


def _local(starts_at: datetime, time_zone: str | None) -> tuple[date, time, str]:
    """Return date, time and zone that name an instant: in `time_zone` or its own zone, where these can.

    Elsewhere in UTC with the offset ``Z``: the database then writes the session down in the therapist's zone.
    """
    if not isinstance(starts_at, datetime) or starts_at.utcoffset() is None:
        raise InvalidTime(hint=_STARTS_AT_HINT)
    if time_zone is None and isinstance(starts_at.tzinfo, ZoneInfo):
        time_zone = starts_at.tzinfo.key
    try:
        instant = starts_at.astimezone(UTC)
        if instant.astimezone(starts_at.tzinfo).replace(tzinfo=None) != starts_at.replace(tzinfo=None):
            raise SkippedTime(hint=_SKIPPED_HINT)
        local = instant if time_zone is None else instant.astimezone(zone(time_zone))
    except OverflowError:  # a day before the year 1 or after 9999
        raise InvalidDate(hint=_DATE_HINT) from None
    if instant.second or instant.microsecond:
        raise InvalidTime(hint=_STARTS_AT_HINT)
    # A local time means the first of two, and has no seconds (offsets of long ago do): an offset can always say it.
    if time_zone is None or local.fold or local.second:
        local, time_zone = instant, "Z"
    return local.date(), local.time(), time_zone


def zone(name: str) -> ZoneInfo:
    """Return the zone of this name, if this Python knows it."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        hint = f"{_TIME_ZONE_HINT} If it is one, this Python does not know it: install the package tzdata."
        raise InvalidTimeZone({"time_zone": name}, hint=hint) from None
