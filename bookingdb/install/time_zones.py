"""Time zones whose rules changed, and zones that the server has lost, with what of a database depends on them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from bookingdb.install import script
from bookingdb.install.owner import refuse_more_rights
from bookingdb.install.session import Connection


class SessionOffTime(NamedTuple):
    """A session to come that no longer starts at its agreed local time; timestamps are texts in UTC.

    ``agreed_start`` is when it should start, None where the clocks now skip the agreed time.
    """

    session_id: UUID
    therapist_id: UUID | None
    time_zone: str
    agreed_time: str
    start_time: str
    agreed_start: str | None


class LostZone(NamedTuple):
    """A zone that policies, weekly hours or sessions to come name, and that the server does not know.

    ``aliases`` are zones that it does know, with the rules that this one had; the likeliest comes first.
    """

    name: str
    policies: int
    sessions: int
    aliases: list[str]
    windows: int


@dataclass(frozen=True)
class Refreshed:
    """The outcome of `refresh`: sessions that are off their local time now, and zones that are lost."""

    off_time: list[SessionOffTime]
    lost: list[LostZone]


def refresh(connection: Connection) -> Refreshed:
    """Record the zones that the server knows now, with their rules.

    Args:
        connection: an open connection of the owner of what was installed, opened after the server's zone files changed.
    """
    refuse_more_rights(connection)
    connection.execute("select bookingdb.refresh_time_zones()")
    return Refreshed(sessions_off_time(connection), lost_zones(connection))


def sessions_off_time(connection: Connection) -> list[SessionOffTime]:
    """List sessions to come that no longer start at their agreed local time, because their zone has got other rules."""
    refuse_more_rights(connection)
    return [SessionOffTime(*row) for row in connection.execute(script.query("sessions_off_time"))]


def lost_zones(connection: Connection) -> list[LostZone]:
    """List zones of policies, of weekly hours and of sessions to come that the server does not know."""
    refuse_more_rights(connection)
    return [LostZone(*row) for row in connection.execute(script.query("lost_zones"))]


def summary(sessions: list[SessionOffTime]) -> str | None:
    """Say how many sessions are off their local time, of how many therapists and in which zones; None without any."""
    if not sessions:
        return None
    zones = ", ".join(f"{name}: {count}" for name, count in sorted(Counter(row.time_zone for row in sessions).items()))
    therapists = len({row.therapist_id for row in sessions})
    return (
        f"{len(sessions)} session(s) of {therapists} therapist(s) no longer start at their agreed local time, because"
        f" zone rules changed ({zones}); run `bookingdb time-zones realign`"
    )
