"""The outcome of a delivery, as a sender says it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal

from bookingdb.text import printable

LONGEST_DETAIL: Final = 500

Kind = Literal["delivered", "retry", "dead", "dropped", "released", "gone"]


@dataclass(frozen=True)
class Outcome:
    """The outcome of a delivery; the parameters of ``finish_delivery``.

    Attributes:
        kind: ``delivered``; ``retry`` later; ``dead``, because no retry would help; ``dropped``, because it is not
            wanted any more; ``released``, because it was not begun; ``gone``, which also disables the destination.
        status_code: what an HTTP server answered, or the code of another protocol.
        detail: why, in one line, for whoever operates this; never a secret; it is cut after 500 characters.
        retry_after: the receiver's own wish when to try again.
        state: what the destination is to remember from now on, instead of its state before.
    """

    kind: Kind
    status_code: int | None = None
    detail: str | None = None
    retry_after: timedelta | None = None
    state: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        """Make one line of the detail, short enough to be kept."""
        if self.detail is not None:
            object.__setattr__(self, "detail", printable(self.detail)[:LONGEST_DETAIL])
