"""Text chosen by others, made harmless before it is printed: to a terminal it could be a command, to a log a line."""

import re
from typing import Final
from unicodedata import category

# Control characters, characters of format (which turn the direction of text around, join, or are not seen), lone
# surrogates, separators of lines and paragraphs.
_HARMFUL: Final = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
# Letters and marks that nobody sees, though Unicode files them under letters and marks: joiners, fillers, selectors.
_UNSEEN: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]"
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
    written = str(text)
    # Nearly every text passes here.
    if written.isprintable() and not _UNSEEN.search(written):
        return written
    return "".join(c if c in keep or not _is_harmful(c) else _escaped(c) for c in written)


def without_passwords(text: str) -> str:
    """Return `text` with three stars for each password of a URL or a connection string.

    Example: ``without_passwords("postgresql://ann:secret@host/app")`` is ``"postgresql://ann:***@host/app"``
    """
    return _NAMED_PASSWORD.sub(r"\1***", _URL_PASSWORD.sub(r"\1:***@", text))


def _is_harmful(character: str) -> bool:
    return category(character) in _HARMFUL or _UNSEEN.match(character) is not None


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
