"""Writes what is made from ``sql/events/types.toml``: JSON Schemas, tables of docs/events.md, and a list in SQL."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support import ROOT

FOLDER = ROOT / "sql" / "events"
PAGE = ROOT / "docs" / "events.md"
LIST = ROOT / "sql" / "functions" / "events" / "event_types.sql"

# A test is sent where it is asked for, and nobody subscribes to it.
NOT_SUBSCRIBED = ("bookingdb.test",)

_FORMS: dict[str, dict[str, Any]] = {
    "uuid": {"type": "string", "format": "uuid"},
    "time": {"type": "string", "format": "date-time"},
    "integer": {"type": "integer"},
    "boolean": {"type": "boolean"},
    "text": {"type": "string"},
    "choice": {"type": "string"},
    "words": {"type": "array", "items": {"type": "string"}},
}
_TABLE = re.compile(
    r"(?<=<!-- event types: written by `make generate` -->\n).*?(?=<!-- end of event types -->)", re.DOTALL
)
_ITEMS = re.compile(r"(?<=    return array\[\n).*?(?=    \];)", re.DOTALL)


def contents() -> dict[Path, str]:
    """Return what each file must hold."""
    source = tomllib.loads((FOLDER / "types.toml").read_text(encoding="utf-8"))
    page, tables = _TABLE.subn(lambda _: "".join(_page(source)), PAGE.read_text(encoding="utf-8"))
    listed, lists = _ITEMS.subn(lambda _: "".join(_list(source)), LIST.read_text(encoding="utf-8"))
    assert (tables, lists) == (1, 1), f"{PAGE} and {LIST} must have the place of what is made once"
    schemas = {FOLDER / f"{name}.v{source['version']}.json": _written(schema(source, name)) for name in source["types"]}
    return {**schemas, PAGE: page, LIST: listed}


def schema(source: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the JSON Schema of what a receiver gets of a type."""
    type_ = source["types"][name]
    always, sometimes = _keys(source, type_.get("keys", ())), _keys(source, type_.get("optional", ()))
    version = source["version"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:bookingdb:event:{name}:v{version}",
        "title": name,
        "description": type_["sentence"],
        "type": "object",
        "required": ["type", "version", "timestamp", "data"],
        "properties": {
            "type": {"const": name},
            "version": {"const": version},
            "timestamp": {"type": "string", "format": "date-time", "description": "When it happened."},
            "data": {
                "type": "object",
                "required": always,
                "properties": {key: _property(source["keys"][key]) for key in dict.fromkeys(always + sometimes)},
                "additionalProperties": True,
                "$comment": "Keys can be added without another version: pass over those that you do not know.",
            },
            "context": {
                "type": "object",
                "description": "The session and its people as they are now, for destinations with_context.",
            },
        },
        "additionalProperties": True,
    }


def _keys(source: dict[str, Any], names: Iterator[str] | list[str]) -> list[str]:
    """The keys, those of groups one by one."""
    return [key for name in names for key in source["groups"].get(name, [name])]


def _property(key: dict[str, Any]) -> dict[str, Any]:
    """The schema of a key.

    >>> _property({"type": "integer", "nullable": True, "sentence": "How many."})
    {'description': 'How many.', 'type': ['integer', 'null']}
    """
    form = {"description": key["sentence"], **_FORMS[key["type"]]}
    if "choices" in key:
        form["enum"] = [*key["choices"], *([None] if key.get("nullable") else [])]
    if key.get("nullable"):
        form["type"] = [form["type"], "null"]
    return form


def _written(schema_: dict[str, Any]) -> str:
    return json.dumps(schema_, indent=2, ensure_ascii=False) + "\n"


def _page(source: dict[str, Any]) -> Iterator[str]:
    """The tables of types and keys."""
    yield "| type | when | keys of `data` |\n|---|---|---|\n"
    for name, type_ in source["types"].items():
        keys = [_named(source, key) for key in type_.get("keys", ())]
        keys += [f"{_named(source, key)} (where it says something)" for key in type_.get("optional", ())]
        yield f"| `{name}` | {type_['sentence']} | {', '.join(keys)} |\n"
    yield "\n"
    for name, keys in source["groups"].items():
        yield f"*{name}*: {', '.join(f'`{key}`' for key in keys)}.\n\n"
    yield "| key | type | what it is |\n|---|---|---|\n"
    for name, key in source["keys"].items():
        form = " or ".join(f"`{choice}`" for choice in key["choices"]) if "choices" in key else _TYPES[key["type"]]
        yield f"| `{name}` | {form}{' or null' if key.get('nullable') else ''} | {key['sentence']} |\n"


_TYPES = {
    "uuid": "UUID", "time": "timestamp", "integer": "integer", "boolean": "boolean", "text": "text",
    "words": "list of words",
}  # fmt: skip


def _named(source: dict[str, Any], key: str) -> str:
    """A key, or a group, as the table names it."""
    return f"*{key}*" if key in source["groups"] else f"`{key}`"


def _list(source: dict[str, Any]) -> Iterator[str]:
    """The items of the array in SQL, a line for each."""
    names = [name for name in source["types"] if name not in NOT_SUBSCRIBED]
    for number, name in enumerate(names, 1):
        yield f"        '{name}'{',' if number < len(names) else ''}\n"
