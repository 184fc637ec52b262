"""The files of ``sql/functions/``: the header of its function, and what is made from it.

A file defines one function of the schema bookingdb. Its first line may be ``-- Public.``: then callers enter by a
function of the same name in the schema public, its *face*. Parameters, defaults, result and comment stand in the file,
and the face is made from them. ``-- Asked by row security.`` marks a function that the row policies call in the name of
the reader, ``-- Inlined.`` one whose expression stands for its calls (see `bookingdb.install.inlining`).
"""

from __future__ import annotations

import hashlib
import re
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

# The rooms of sql/functions, from the bottom up: a function calls its own room and those before it.
ROOMS = (
    "errors", "parameters", "evidence", "access", "locks", "time", "idempotency", "people", "policy", "availability",
    "credits", "calendar", "booking", "sessions", "merging", "finding", "contacts", "records", "events", "erasing",
    "checks", "housekeeping",
    "outgoing",
    "adoption",
)  # fmt: skip
# Only a database that needs them has the functions of this room (see `bookingdb.install.installer.for_database`).
ADOPTION = "adoption"

# A file, whole: everything is said, in this order.
_LAYOUT = re.compile(
    r"(?:-- Inlined\.\n)?"
    r"(?:-- (?P<access>Public|Asked by row security)(?:, without (?P<hidden>\w+(?:, \w+)*))?\.\n)?"
    r"create or replace function (?P<schema>\w+)\.(?P<name>\w+)\((?P<parameters>[^$]*?)\)\n"
    r"returns (?P<result>[^$]+?)\n"
    r"language plpgsql\n"
    r"(?P<volatility>immutable|stable|volatile)\n"
    r"security (?P<security>definer|invoker)\n"
    r"set search_path = pg_catalog, pg_temp\n"
    r"(?P<settings>(?:set (?!search_path)\w+ = ['\w]+\n)*)"
    r"as \$function\$\n(?P<body>(?:(?!\$function\$)[\s\S])+)\$function\$;\n"
    r"\n"
    r"comment on function (?P=schema)\.(?P=name)\([^)]*\) is\n"
    r"'(?P<comment>(?:[^'\n]|'')+)';\n"
)
_CHANGED_TYPE = re.compile(r"^alter type (\w+\.\w+)\s+((?:add|drop) attribute [^;]+)", re.MULTILINE)
_RAISES = re.compile(r" Raises: .*$")
_LONGEST_LINE = 120


class SourceError(Exception):
    """The files under sql/ are not laid out as they must be; the message names the file."""


@dataclass(frozen=True)
class SqlFile:
    """A file of sql/: its path below that folder, and its text with line ends normalised to LF."""

    path: str
    text: str

    @property
    def name(self) -> str:
        """The file's name without folder and ending, for example ``0001_core``."""
        return PurePosixPath(self.path).stem

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, in hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True)
class Header:
    """The header of a function's file. Texts are as they stand there; the comment is without doubled quotes.

    Attributes:
        access: ``Public``, ``Asked by row security``, or None for what only we call.
        hidden: attributes of the result that the face leaves out.
    """

    access: str | None
    hidden: tuple[str, ...]
    schema: str
    name: str
    parameters: str
    result: str
    volatility: str
    security: str
    settings: str
    body: str
    comment: str

    @cached_property
    def arguments(self) -> tuple[tuple[str, str], ...]:
        """Names and types of the parameters, without their defaults."""
        found = [parameter.partition(" default ")[0].split(maxsplit=1) for parameter in _items(self.parameters)]
        return tuple((name, type_) for name, type_ in found)

    @property
    def types(self) -> str:
        """The types of the parameters as a list, for example ``uuid, date``."""
        return ", ".join(type_ for _, type_ in self.arguments)


@dataclass(frozen=True)
class FunctionFile(SqlFile):
    """A statement that makes one function, and its comment: a file, or the face that is made from one."""

    @cached_property
    def header(self) -> Header:
        """The function's header.

        Raises:
            SourceError: the file is not laid out as all of them are.
        """
        found = _LAYOUT.fullmatch(self.text)
        if found is None:
            raise SourceError(f"sql/{self.path} is not laid out as all function files are")
        parts: dict[str, str] = {name: text or "" for name, text in found.groupdict().items()}
        access = parts.pop("access") or None
        hidden = tuple(name for name in parts.pop("hidden").split(", ") if name)
        comment = parts.pop("comment").replace("''", "'")
        return Header(access=access, hidden=hidden, comment=comment, **parts)

    @property
    def name(self) -> str:
        """The function's name."""
        return self.header.name

    @property
    def schema(self) -> str:
        """The function's schema."""
        return self.header.schema

    @property
    def room(self) -> str:
        """The folder of the file, which is the subject of the function."""
        return PurePosixPath(self.path).parent.name

    @property
    def signature(self) -> str:
        """Schema, name and argument types: ``public.get_credit_balance(uuid)``."""
        return f"{self.schema}.{self.name}({self.header.types})"

    @property
    def body(self) -> str:
        """The text between the dollar quotes: what Postgres keeps as ``prosrc``, byte for byte."""
        return f"\n{self.header.body}"

    @property
    def is_inlined(self) -> bool:
        """True if the function's expression is written in the place of its calls."""
        return self.text.startswith("-- Inlined.\n")

    @property
    def is_for_adoption(self) -> bool:
        """True if only an adopted database has the function."""
        return self.room == ADOPTION

    @property
    def is_public(self) -> bool:
        """True if callers enter here, by a face in the schema public."""
        return self.header.access == "Public"


def face(engine: FunctionFile, types: Mapping[str, Mapping[str, str]]) -> FunctionFile:
    """Make the public function of a function of the engine: it hands its parameters on, with the caller's rights.

    Args:
        engine: the function.
        types: the attributes of the composite types, by name, each with its type (see `composite_types`).
    """
    header = engine.header
    composite = types.get(header.result.removeprefix("setof "))
    call = f"bookingdb.{header.name}({{}})"
    names = [name for name, _ in header.arguments]
    if composite is None:
        verb = "perform" if header.result == "void" else "return"
        result, lines = header.result, _call(f"    {verb} {call}", names, ";")
    else:
        columns = {name: type_ for name, type_ in composite.items() if name not in header.hidden}
        result = "table (\n" + ",\n".join(f"    {name} {type_}" for name, type_ in columns.items()) + "\n)"
        selected = _wrapped(f"    select {', '.join(f'r.{name}' for name in columns)}")
        lines = ["    return query", *selected, *_call(f"    from {call}", names, " as r;")]
    summary = _RAISES.sub("", header.comment).replace("'", "''")
    text = (
        f"create or replace function public.{header.name}({header.parameters})\n"
        f"returns {result}\n"
        "language plpgsql\n"
        f"{header.volatility}\n"
        "security invoker\n"
        "set search_path = pg_catalog, pg_temp\n"
        "as $function$\n" + "\n".join(["begin", *lines, "end;"]) + "\n$function$;\n"
        "\n"
        f"comment on function public.{header.name}({header.types}) is\n"
        f"'{summary} Errors: docs/errors.md.';\n"
    )
    return FunctionFile(engine.path, text)


def composite_types(migrations: Iterable[SqlFile]) -> dict[str, dict[str, str]]:
    """The composite types that the migrations make, in the schema bookingdb: their attributes, each with its type."""
    types: dict[str, dict[str, str]] = {}
    for file in migrations:
        for name, attributes in re.findall(r"^create type (\w+\.\w+) as \(\n([^;]*?)\n\);$", file.text, re.MULTILINE):
            types[name] = dict(_pair(attribute) for attribute in _items(attributes))
        for name, changes in _CHANGED_TYPE.findall(file.text):
            for change in _items(changes):
                verb, attribute = change.split(" attribute ")
                if verb == "add":
                    types[name] |= [_pair(attribute)]
                else:
                    del types[name][attribute]
    return types


def _pair(declaration: str) -> tuple[str, str]:
    name, type_ = declaration.split(maxsplit=1)
    return name, type_.replace(" []", "[]")


def _items(text: str) -> list[str]:
    """Split at commas, white space made single."""
    return [" ".join(item.split()) for item in text.split(",") if item.strip()]


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(line, _LONGEST_LINE, subsequent_indent=" " * 8, drop_whitespace=True)


def _call(template: str, arguments: list[str], end: str) -> list[str]:
    """A call with its arguments, on one line where they fit."""
    line = template.format(", ".join(arguments)) + end
    if len(line) <= _LONGEST_LINE:
        return [line]
    before, after = template.split("{}")
    listed = textwrap.wrap(
        ", ".join(arguments), _LONGEST_LINE, initial_indent=" " * 8, subsequent_indent=" " * 8, break_long_words=False
    )
    return [before, *listed, f"    {after}{end}"]
