"""Times as a reader writes them: in their zone, with its name, and by the customs of their language."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_skeleton, format_time, get_timezone_name

DASH: Final = "\N{EN DASH}"


class Clock:
    """Writes times for one reader.

    Args:
        locale: the language, and with it whether the day has twice twelve hours.
        zone: the reader's.
    """

    def __init__(self, locale: Locale, zone: ZoneInfo) -> None:
        """Remember whom to write for."""
        self.locale = locale
        self.zone = zone

    def day(self, moment: datetime) -> str:
        """Return the date in full: ``Monday, January 7, 2030``."""
        return format_date(moment.astimezone(self.zone), "full", locale=self.locale)

    def time(self, moment: datetime) -> str:
        """Return the time of day: ``2:30 PM``."""
        local = moment.astimezone(self.zone).replace(tzinfo=None)
        # The narrow space before PM is missing in many fonts.
        return format_time(local, "short", locale=self.locale).replace("\u202f", " ")

    def short(self, moment: datetime) -> str:
        """Return day and time for a subject line: ``Mon, Jan 7, 2:30 PM``."""
        day = format_skeleton("MMMEd", moment.astimezone(self.zone).replace(tzinfo=None), locale=self.locale)
        return f"{day}, {self.time(moment)}"

    def name(self, moment: datetime) -> str:
        """Return the name of the zone as it is in force then: ``Central European Standard Time, UTC+1``."""
        local = moment.astimezone(self.zone)
        offset = _offset(local)
        if self.zone.key in ("UTC", "Etc/UTC"):
            return "UTC"
        if _has_negative_winter(local):
            # Babel takes the winter of Ireland and Morocco for their summer.
            return f"{self.zone.key}, {offset}"
        return f"{get_timezone_name(local, locale=self.locale)}, {offset}"

    def lines(self, start: datetime, end: datetime) -> list[str]:
        """Return a time span in two lines: dates and times, and the zone's name; where clocks change, in one."""
        first, last = start.astimezone(self.zone), end.astimezone(self.zone)
        begun = f"{self.day(start)}, {self.time(start)}"
        ended = self.time(end) if first.date() == last.date() else f"{self.day(end)}, {self.time(end)}"
        if first.utcoffset() == last.utcoffset():
            return [f"{begun} {DASH} {ended}", self.name(start)]
        return [f"{begun} ({self.name(start)}) {DASH}", f"{ended} ({self.name(end)})"]

    def differs(self, zone: ZoneInfo, *moments: datetime) -> bool:
        """Say whether clocks in another zone show something else at one of these moments."""
        return any(one.astimezone(zone).utcoffset() != one.astimezone(self.zone).utcoffset() for one in moments)


def _offset(local: datetime) -> str:
    minutes = (local.utcoffset() or timedelta()) // timedelta(minutes=1)
    sign, minutes = ("+", minutes) if minutes >= 0 else ("-", -minutes)
    return f"UTC{sign}{minutes // 60}" + (f":{minutes % 60:02}" if minutes % 60 else "")


def _has_negative_winter(local: datetime) -> bool:
    """Say whether the zone has less than its standard time at some time of the year."""
    months = (datetime(local.year, month, 15, tzinfo=UTC).astimezone(local.tzinfo) for month in range(1, 13))
    return any((month.dst() or timedelta()) < timedelta() for month in months)
