"""A finding of verify or lint."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Finding:
    """Something that is not as it was installed, or an invariant that does not hold.

    ``group`` is the kind of thing, ``object`` which one, ``problem`` what is wrong with it, ``remedy`` what to do, with
    commands and SQL in backticks. ``is_settled`` says that nothing can repair it and no booking to come relies on it:
    only such a finding can be acknowledged (`bookingdb.checks.acknowledgements`).

    Example: ``Finding("triggers", "_bookingdb_audit on public.sessions", "is missing",
    "Run `bookingdb migrate --reapply`")``
    """

    group: str
    object: str
    problem: str
    remedy: str
    is_settled: bool = False

    @property
    def id(self) -> str:
        """Short name of exactly this finding: the same as long as group, object and problem are the same.

        >>> Finding("views", "bookingdb.clients", "is missing", "Migrate").id
        '1b397eca72'
        """
        return hashlib.sha256(json.dumps(self.key).encode()).hexdigest()[:10]

    @property
    def key(self) -> tuple[str, str, str]:
        """The group, object and problem, without the advice."""
        return self.group, self.object, self.problem

    def to_dict(self) -> dict[str, str | bool]:
        """The fields and the id, for JSON."""
        return {**asdict(self), "id": self.id}
