"""Writes the expression of a function in the place of its calls, if the function's file says ``-- Inlined.``.

A call costs some ten thousand instructions and an expression three, and a booking had a dozen such calls. Postgres
would inline functions of SQL itself, but only those without a search_path, which Supabase's advisors warn of.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bookingdb.install.functions import FunctionFile, SourceError

# The body of a function that is inlined: one expression, with remarks before it.
_EXPRESSION = re.compile(r"\nbegin\n(?:    --.*\n)*    return (?P<expression>(?:[^;']|'(?:[^']|'')*')+);\nend;\n")
_LITERAL = r"(?:\b[Ee]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*')"
_CALL = r"\bbookingdb\.(?P<name>\w+)\("
# Calls in texts and remarks are none.
_TEXT_OR_CALL = re.compile(rf"{_LITERAL}|--[^\n]*|{_CALL}")
_MARK = re.compile(rf"{_LITERAL}|--[^\n]*|=>|[](),[]")
_PARAMETER = re.compile(rf"{_LITERAL}|\bp_\w+\b")
# Such an argument may stand there twice: it costs nothing, and is the same each time.
_PLAIN = re.compile(rf"\w+(?:\.\w+)*|{_LITERAL}")


@dataclass(frozen=True)
class _Call:
    """A call in a text: its arguments as they stand there, and where it ends."""

    arguments: list[str]
    end: int
    # It names its parameters, or has remarks in it.
    is_odd: bool


@dataclass(frozen=True)
class _Inlined:
    """A function that is inlined: its parameters with their types, its result's type, and its expression."""

    parameters: dict[str, str]
    result: str
    expression: str

    def uses(self, parameter: str) -> int:
        return sum(found[0] == parameter for found in _PARAMETER.finditer(self.expression))


def inline(functions: Iterable[FunctionFile]) -> list[FunctionFile]:
    """Write expressions in the place of calls, in the bodies of all functions.

    A call stays a call where an argument that must be evaluated is needed twice.

    Raises:
        SourceError: a function that is to be inlined is not one expression of built-in functions and of others that
            are inlined, or does not use a parameter.
    """
    files = list(functions)
    # Most functions are not looked at more closely here, because that takes time at each start of the package.
    inlined: dict[str, _Inlined] = {}
    marked = {file.name: file for file in files if file.is_inlined}
    for name in marked:
        _read(name, marked, inlined, ())
    calls = re.compile(rf"\bbookingdb\.(?:{'|'.join(inlined)})\(") if inlined else None
    return [
        FunctionFile(file.path, _with_body(file.text, inlined)) if calls and calls.search(file.text) else file
        for file in files
    ]


def remaining(text: str, names: Iterable[str]) -> Iterator[str]:
    """Yield the calls of functions with these names that a text has."""
    known = set(names)
    yield from (found[0] for found in _TEXT_OR_CALL.finditer(text) if found["name"] in known)


def _read(name: str, marked: dict[str, FunctionFile], inlined: dict[str, _Inlined], callers: tuple[str, ...]) -> None:
    """Read a function that is inlined, and first those that it calls."""
    if name in inlined:
        return
    file = marked[name]
    header = file.header
    found = _EXPRESSION.fullmatch(file.body)
    if found is None or header.security != "invoker":
        raise SourceError(f"sql/{file.path} is inlined, and is not one expression with its caller's rights")
    expression = re.sub(r"\n\s*", " ", found["expression"])
    called = [call["name"] for call in _TEXT_OR_CALL.finditer(expression) if call["name"]]
    if re.search(r"\bselect\b|--", expression) or not marked.keys() >= set(called) or {*called} & {*callers, name}:
        raise SourceError(f"sql/{file.path} is inlined, and needs more than built-in functions and others inlined")
    for other in called:
        _read(other, marked, inlined, (*callers, name))
    function = _Inlined(dict(header.arguments), header.result, _inlined(expression, inlined))
    if unused := [parameter for parameter in function.parameters if not function.uses(parameter)]:
        raise SourceError(f"sql/{file.path} is inlined, and does not use {unused[0]}")
    inlined[name] = function


def _with_body(text: str, inlined: dict[str, _Inlined]) -> str:
    before, quote, rest = text.partition("as $function$\n")
    body, end, after = rest.partition("$function$;\n")
    return before + quote + _inlined(body, inlined) + end + after


def _inlined(text: str, inlined: dict[str, _Inlined]) -> str:
    written, place = "", 0
    while found := _TEXT_OR_CALL.search(text, place):
        written += text[place : found.start()]
        place = found.end()
        function = inlined.get(found["name"] or "")
        if function is None:
            written += found[0]
            continue
        call = _call(text, place)
        arguments = [_inlined(argument, inlined) for argument in call.arguments]
        if _is_replaceable(function, call, arguments):
            written += _expression(function, arguments)
        else:
            written += found[0] + ",".join(arguments) + ")"
        place = call.end
    return written + text[place:]


def _call(text: str, start: int) -> _Call:
    """Read the arguments of a call, from behind its opening parenthesis.

    Raises:
        SourceError: it does not end.
    """
    arguments: list[str] = []
    depth, begin, is_odd = 0, start, False
    for mark in _MARK.finditer(text, start):
        match mark[0]:
            case "(" | "[":
                depth += 1
            case ")" if depth == 0:
                last = text[begin : mark.start()]
                return _Call([*arguments, last] if last.strip() or arguments else [], mark.end(), is_odd)
            case ")" | "]":
                depth -= 1
            case "," if depth == 0:
                arguments.append(text[begin : mark.start()])
                begin = mark.end()
            case other if other.startswith(("--", "=>")):
                is_odd = is_odd or depth == 0 or other != "=>"
            case _:
                pass
    raise SourceError(f"a call does not end: {text[start : start + 60]}")


def _is_replaceable(function: _Inlined, call: _Call, arguments: list[str]) -> bool:
    return (
        not call.is_odd
        and len(arguments) == len(function.parameters)
        and all(
            function.uses(parameter) == 1 or _PLAIN.fullmatch(argument.strip())
            for parameter, argument in zip(function.parameters, arguments, strict=True)
        )
    )


def _expression(function: _Inlined, arguments: list[str]) -> str:
    """Write the expression with the arguments in it. Casts give both the types that the call would give them."""
    values = {}
    for (parameter, type_), argument in zip(function.parameters.items(), arguments, strict=True):
        value = argument.strip()
        if "." in type_:
            # A variable gives one field instead of all. The fields of anything else need parentheses before.
            values[parameter] = value if re.fullmatch(r"[pv]_\w+", value) else f"(({value})::{type_})"
        else:
            values[parameter] = f"({value})::{type_}"
    expression = _PARAMETER.sub(lambda found: values.get(found[0], found[0]), function.expression)
    return f"({expression})::{function.result}"
