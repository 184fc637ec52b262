"""Text chosen by others, made harmless before it is printed: to a terminal it could be a command, to a log a line."""

import re
from typing import Final

# Control characters (C0, DEL, C1), line separators, characters that turn the direction of text around, some that nobody
# sees, and lone surrogates.
_HARMFUL: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
_URL_PASSWORD: Final = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s:/@]*):[^\s@]*(?:@[^\s@/]*)*@", re.IGNORECASE)
_NAMED_PASSWORD: Final = re.compile(r"\b((?:ssl)?password\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&'\"]+)", re.IGNORECASE)


def printable(text: object, *, keep: str = "") -> str:
    r"""Return `text` as one line that only shows: what could act is escaped as in a Python string.

    Args:
        text: anything; `str` makes a text of it.
        keep: the control characters that may stay.

    Example: ``printable("Ada\x1b[31m\nBob")`` is ``r"Ada\x1b[31m\nBob"``
    """
    return _HARMFUL.sub(lambda found: found[0] if found[0] in keep else _escaped(found[0]), str(text))


def without_passwords(text: str) -> str:
    """Return `text` with three stars for each password of a URL or a connection string.

    Example: ``without_passwords("postgresql://ann:secret@host/app")`` is ``"postgresql://ann:***@host/app"``
    """
    return _NAMED_PASSWORD.sub(r"\1***", _URL_PASSWORD.sub(r"\1:***@", text))


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
