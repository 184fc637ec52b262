"""The statements of a PL/pgSQL body, each with the conditions under which it runs, and the calls in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from bookingdb.adoption.plpgsql_text import arguments, code, without_comments

_WORDS = re.compile(
    r"""
    (?P<text> [eE]?'(?:[^']|'')*' | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$ | "(?:[^"]|"")*" )
    | (?P<word> [a-zA-Z_]\w* )
    | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)
# The condition of what stands in an exception handler.
HANDLER = "something failed"
_CASE = "in a case"


@dataclass(frozen=True)
class Statement:
    """A statement, or the condition of an IF or a loop; ``conditions`` must hold for it, the outermost first."""

    text: str
    conditions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Call:
    """A call of a function, with its schema where it is named, and its arguments as they stand."""

    name: str
    arguments: list[str]

    @property
    def bare_name(self) -> str:
        """The name without a schema."""
        return self.name.rpartition(".")[2]


@dataclass
class _Walk:
    """The place in a body: the blocks around it, each with its condition ('' for none), and the words so far."""

    blocks: list[str] = field(default_factory=list)
    piece: str = ""
    parentheses: int = 0
    cases: int = 0

    @property
    def first(self) -> str:
        found = re.match(r"\s*([a-zA-Z_]\w*)", self.piece)
        return found[1].lower() if found else ""

    def conditions(self) -> tuple[str, ...]:
        return tuple(block for block in self.blocks if block)

    def take(self) -> str:
        text, self.piece = " ".join(self.piece.split()), ""
        return text


def statements(source: str) -> Iterator[Statement]:
    """Yield the statements of a body in their order.

    >>> [(s.text, s.conditions) for s in statements("begin if a > 1 then perform f(a); end if; return; end")][1:]
    [('perform f(a)', ('a > 1',)), ('return', ())]
    """
    walk = _Walk()
    for token in _WORDS.finditer(without_comments(source)):
        word = (token["word"] or "").lower()
        sign = token["other"] or ""
        walk.parentheses += (sign == "(") - (sign == ")")
        if walk.parentheses == 0 and (word or sign == ";"):
            found, is_used = _step(walk, word)
            yield from found
            if is_used:
                continue
        walk.piece += token[0]
    yield from _end_of_statement(walk, walk.first)


def _step(walk: _Walk, word: str) -> tuple[list[Statement], bool]:
    """Take a word, or the semicolon (''), outside of parentheses; return what ends here, and whether it is used up."""
    first, found, is_used = walk.first, list[Statement](), True
    top = walk.blocks[-1] if walk.blocks else ""
    if not word:
        walk.cases = 0
        found = _end_of_statement(walk, first)
    elif walk.cases or (word == "case" and first not in ("", "end")):
        # A CASE inside of a statement has words of its own.
        walk.cases += (word == "case") - (word == "end")
        is_used = False
    elif word == "begin" and first in ("", "declare"):
        walk.take()
        walk.blocks.append("")
    elif word == "then" and first in ("if", "elsif", "elseif", "when"):
        found = _condition(walk, first)
    elif word == "loop" and first in ("", "for", "foreach", "while"):
        header = walk.take()
        found = [Statement(header, walk.conditions())] if header else []
        walk.blocks.append(f"in the loop {header}".strip())
    elif word in ("else", "exception") and not first and walk.blocks:
        walk.blocks[-1] = HANDLER if word == "exception" else f"not ({top})"
    elif word == "case" and not first:
        walk.blocks.append(_CASE)
    elif word == "when" and top == _CASE:
        # The compared value stands before the first WHEN.
        walk.take()
        is_used = False
    else:
        is_used = word == "declare" and not first
    return found, is_used


def _condition(walk: _Walk, first: str) -> list[Statement]:
    header = walk.take()
    condition = re.sub(r"^\w+\s*", "", header)
    if first == "if":
        found = [Statement(condition, walk.conditions())]
        walk.blocks.append(condition)
        return found
    if walk.blocks and walk.blocks[-1] != HANDLER:
        walk.blocks[-1] = condition
    return []


def _end_of_statement(walk: _Walk, first: str) -> list[Statement]:
    text = walk.take()
    if first == "end":
        if walk.blocks:
            walk.blocks.pop()
        return []
    return [Statement(text, walk.conditions())] if text else []


def calls(text: str) -> Iterator[Call]:
    """Yield the calls in a statement, the outer ones first.

    >>> [(c.name, c.arguments) for c in calls("perform net.http_post(url := f(1), body := '{}')")]
    [('net.http_post', ['url := f(1)', "body := '{}'"]), ('f', ['1'])]
    """
    # Strings keep their place, so that no text in them looks like a call.
    blank = re.sub(r"'(?:[^']|'')*'|\$(\w*)\$.*?\$\1\$", lambda each: "'" * len(each[0]), text, flags=re.DOTALL)
    for found in re.finditer(r"(?<![\w.'])((?:\"?\w+\"?\.)?\"?[a-zA-Z_]\w*\"?)\s*\(", blank):
        if not re.search(r"\b(?:into|update|join|as)\s+$", blank[: found.start()], re.I):
            yield Call(found[1].lower().replace('"', ""), arguments(text, found.end()))


def written_table(text: str) -> tuple[str, str] | None:
    """Return what a statement does to which table: ("insert", "public.queue"); None where it writes none."""
    found = re.match(
        r"(?:with\b.*?\)\s*)?(insert)\s+into\s+([\w.]+)|(update)\s+(?:only\s+)?([\w.]+)|(delete)\s+from\s+([\w.]+)",
        code(text).strip(),
        re.DOTALL,
    )
    if found is None:
        return None
    verb, table = (part for part in found.groups() if part)
    return verb, table.removeprefix("public.")
