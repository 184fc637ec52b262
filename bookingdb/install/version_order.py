"""The order of the package's versions (PEP 440), for Python and for the SQL that works without it.

A version becomes a text, its *key*, by the same substitutions in both. Keys are compared byte by byte. A local version
(``1.0+mine``) has the key of its public one.
"""

from __future__ import annotations

import re

from bookingdb.queries import literal

# Patterns mean the same to Python and to Postgres, and so do the replacements. Letters stand in the order of what may
# follow a number: dev, a, b, rc, the end, post, and one more number of the release.
_SUBSTITUTIONS = (
    (r"[+].*$", ""),
    # An epoch comes first; most versions have none.
    (r"^(?![0-9]+!)", "0!"),
    # 1.0 is 1.
    (r"([.]0+)+(?![.]?[0-9])", ""),
    (r"[.]?dev", "A"),
    (r"a", "B"),
    (r"b", "C"),
    (r"rc", "D"),
    (r"$", "E"),
    (r"[.]?post", "F"),
    (r"[.]", "G"),
    # All numbers get 18 digits.
    (r"([0-9]+)", r"00000000000000000\1"),
    (r"[0-9]*([0-9]{18})(?![0-9])", r"\1"),
)


def version_key(version: str) -> str:
    """Return the key of a version.

    >>> version_key("0.10.0rc1") < version_key("0.10")
    True
    """
    for pattern, replacement in _SUBSTITUTIONS:
        version = re.sub(pattern, replacement, version)
    return version


def version_key_expression(version: str) -> str:
    """Return the SQL expression that gives the key of the version that an expression gives.

    Args:
        version: SQL, such as ``h.version``.
    """
    for pattern, replacement in _SUBSTITUTIONS:
        version = f"regexp_replace({version}, {literal(pattern)}, {literal(replacement)}, 'g')"
    return f'{version} collate "C"'
