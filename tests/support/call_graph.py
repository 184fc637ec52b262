"""Which function of sql/functions calls which, and which errors may come of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bookingdb.install import source
from bookingdb.install.functions import FunctionFile

SOURCE = source.load()
ENGINE = {function.name: function for function in SOURCE.engine}

# What a function called may raise but cannot in this call: the id it is given is never null, the session is there.
CANNOT_COME = {
    "book_series": {"session_not_found"},
    "lock_hold": {"invalid_user_id"},
    "register_client": {"invalid_user_id"},
    "remove_time_off": {"invalid_therapist_id"},
}

_CALL = re.compile(r"\bbookingdb\.(\w+)\((?:\s*'(\w+)')?")


def called(function: FunctionFile) -> list[str]:
    """The functions of the engine that a function calls, in the order of its file: also those that are inlined."""
    text = (source.folder() / function.path).read_text(encoding="utf-8")
    body = text.partition("as $function$\n")[2].partition("$function$;\n")[0]
    names = dict.fromkeys(name for name, _ in _CALL.findall(body))
    return [name for name in names if name in ENGINE and name != function.name]


def own_errors(function: FunctionFile) -> list[str]:
    """The codes that a function raises itself, in the order of its text."""
    return list(dict.fromkeys(code for name, code in _CALL.findall(function.body) if name == "raise_error" and code))


def errors(function: FunctionFile) -> list[str]:
    """The codes that a function and those it calls raise, in the order in which they are looked for."""
    return list(dict.fromkeys(_errors(function, frozenset())))


def _errors(function: FunctionFile, callers: frozenset[str]) -> Iterator[str]:
    callers |= {function.name}
    for name, code in _CALL.findall(function.body):
        if name == "raise_error":
            found = iter([code] if code else [])
        else:
            found = _errors(ENGINE[name], callers) if name in ENGINE and name not in callers else iter(())
        yield from (error for error in found if error not in CANNOT_COME.get(function.name, ()))
