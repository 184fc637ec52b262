"""How long a scenario goes on: for a time, or until it has done a number of things; and how far it has come."""

from __future__ import annotations

import logging
import time

logger = logging.getLogger("torture")
# Seconds between two lines of progress.
INTERVAL = 10.0


class Goal:
    """Seconds or a count, whichever comes first."""

    def __init__(self, name: str, seconds: float, count: float = float("inf"), *, at_least: int = 0) -> None:
        """`at_least` is done however long it takes."""
        self.name = name
        self.count = count
        self.at_least = at_least
        self._begun = time.monotonic()
        self._seconds = seconds
        self._told = self._begun

    def goes_on(self, done: int) -> bool:
        """Whether there is more to do; tells of it now and then."""
        now = time.monotonic()
        if now - self._told >= INTERVAL:
            self._told = now
            wanted = "" if self.count == float("inf") else f" of {self.count:,.0f}"
            logger.info("%s: %s%s after %.0f s", self.name, f"{done:,}", wanted, now - self._begun)
        return done < self.count and (done < self.at_least or now - self._begun < self._seconds)
