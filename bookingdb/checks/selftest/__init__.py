"""The deployment checklist: books and is refused on the connected database, and leaves it as it was.

Everything happens in transactions that are rolled back. In a race, the first connection has booked and
has not ended, and the second one is seen waiting for it. Nothing is ever committed: a selftest that is killed leaves
nothing.
"""

from bookingdb.checks.selftest.checklist import Check, SelftestError, selftest

__all__ = ["Check", "SelftestError", "selftest"]
