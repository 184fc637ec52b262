"""Hours as one writes them down: ``mon-fri 09:00-12:00``, ``sat 10:00-14:00 every 2 weeks from 2030-01-01``."""

import re
from collections.abc import Iterable, Sequence
from datetime import date, time
from typing import Any, Final

from bookingdb.records import WeeklyWindow

Windows = tuple[tuple[time, time], ...]

_NAMES: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NAME: Final = r"(?:mon|tue|wed|thu|fri|sat|sun)"
_DAYS: Final = re.compile(rf"{_NAME}(?:-{_NAME})?(?:,{_NAME}(?:-{_NAME})?)*")
_WINDOW: Final = re.compile(r"((?:[01][0-9]|2[0-3]):[0-5][0-9])-((?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00)")


def read_week(texts: Iterable[str]) -> list[WeeklyWindow]:
    """Return the windows of a week: days, their windows, and when and where these hold.

    Behind the windows may stand ``every 2 weeks``, ``from DATE``, ``to DATE`` and ``in ZONE``. Raises ValueError, which
    says what cannot be read.

    Example:
        >>> read_week(["mon,wed 22:00-02:00"])[1]
        WeeklyWindow(weekday=3, start_time=datetime.time(22, 0), end_time=datetime.time(2, 0), valid_from=None, \
valid_to=None, every_weeks=1, time_zone=None)
    """
    words = " ".join(texts).split()
    found: list[WeeklyWindow] = []
    while words:
        days = _read_days(words.pop(0).lower())
        windows: list[tuple[time, time]] = []
        while words and _WINDOW.fullmatch(words[0]):
            windows.append(_read_window(words.pop(0)))
        if not windows:
            raise ValueError("days need windows such as 09:00-17:00 behind them")
        holds = _read_when(words)
        found += [WeeklyWindow(day, start, end, **holds) for day in days for start, end in windows]
    return found


def _read_when(words: list[str]) -> dict[str, Any]:
    """Take what is said of windows off the words: how often, from and to which date, in which zone."""
    holds: dict[str, Any] = {}
    while words and words[0].lower() in ("every", "from", "to", "in"):
        match words.pop(0).lower():
            case "every":
                number, unit = (words.pop(0).lower() if words else "" for _ in range(2))
                if not re.fullmatch("[1-8]", number) or unit not in ("week", "weeks"):
                    raise ValueError(f"'every {number} {unit}' is not said so; write every 2 weeks (up to 8)")
                holds["every_weeks"] = int(number)
            case "in":
                holds["time_zone"] = words.pop(0) if words else ""
            case name:
                holds[f"valid_{name}"] = _read_date(words.pop(0) if words else "")
    if holds.get("every_weeks", 1) > 1 and "valid_from" not in holds:
        raise ValueError("every second week is counted from a date; write every 2 weeks from 2030-01-07")
    return holds


def read_windows(texts: Iterable[str]) -> list[tuple[time, time]]:
    """Return the windows of a single day, such as ``09:00-12:00 13:00-17:00``.

    Raises ValueError, which says what cannot be read.
    """
    return [_read_window(word) for word in " ".join(texts).split()]


def write_week(week: Sequence[WeeklyWindow]) -> list[str]:
    """Return the windows of a week in lines that :func:`read_week` reads.

    Example:
        >>> write_week(read_week(["mon-sun 09:00-12:00", "tue 13:00-24:00"]))
        ['mon,wed-sun 09:00-12:00', 'tue 09:00-12:00 13:00-24:00']
    """
    lines = []
    for when in dict.fromkeys(map(_when, week)):
        days: dict[Windows, list[int]] = {}
        for day in range(1, 8):
            windows = tuple(
                (window.start_time, window.end_time)
                for window in week
                if window.weekday == day and _when(window) == when
            )
            if windows:
                days.setdefault(windows, []).append(day)
        lines += [" ".join([_write_days(same), write_windows(windows), *when]) for windows, same in days.items()]
    return lines


def _when(window: WeeklyWindow) -> tuple[str, ...]:
    """Say how often, from and to which date, and in which zone a window holds."""
    words = {
        f"every {window.every_weeks} weeks": window.every_weeks > 1,
        f"from {window.valid_from}": window.valid_from,
        f"to {window.valid_to}": window.valid_to,
        f"in {window.time_zone}": window.time_zone,
    }
    return tuple(word for word, is_said in words.items() if is_said)


def write_windows(windows: Iterable[tuple[time, time]]) -> str:
    """Return the windows of a day as :func:`read_windows` reads them."""
    return " ".join(f"{start:%H:%M}-{'24:00' if end == time() else f'{end:%H:%M}'}" for start, end in windows)


def _read_days(word: str) -> list[int]:
    if not _DAYS.fullmatch(word):
        raise ValueError(f"{word!r} names no days; write mon, mon-fri or sat,sun")
    days: list[int] = []
    for part in word.split(","):
        first, _, last = part.partition("-")
        begin, end = _NAMES.index(first), _NAMES.index(last or first)
        days += [(begin + step) % 7 + 1 for step in range((end - begin) % 7 + 1)]
    return sorted(set(days))


def _read_window(word: str) -> tuple[time, time]:
    found = _WINDOW.fullmatch(word)
    if found is None:
        raise ValueError(f"{word!r} is no window such as 09:00-17:00")
    # 24:00, which Python does not know, is the midnight at which a day ends.
    return time.fromisoformat(found[1]), time.fromisoformat(found[2].replace("24:00", "00:00"))


def _read_date(word: str) -> date:
    try:
        return date.fromisoformat(word)
    except ValueError:
        raise ValueError(f"{word!r} is no date such as 2030-01-07") from None


def _write_days(days: Sequence[int]) -> str:
    runs: list[list[int]] = []
    for day in days:
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ",".join(
        _NAMES[run[0] - 1] if len(run) == 1 else f"{_NAMES[run[0] - 1]}-{_NAMES[run[-1] - 1]}" for run in runs
    )
