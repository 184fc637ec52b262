"""The table of policy settings, ``sql/policy_settings.toml``, and the lines of the functions that are made from it.

A line of a function's file that ends with ``-- for each setting`` stands once for every setting, with the setting's
``:name``, ``:'name'``, ``:'type'``, ``:'minimum'``, ``:'maximum'`` and ``:'choices'`` in it.
``-- for each setting up to NAME`` and ``-- for each setting after NAME`` stand for the first of them and for the rest.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from typing import get_args

from bookingdb.install.functions import SourceError, SqlFile
from bookingdb.policy_setting import Setting, Type
from bookingdb.queries import fill

_FOR_EACH_SETTING = re.compile(
    r"^(?P<line>.*?)(?P<comma>,?) -- for each setting(?: (?P<side>up to|after) (?P<name>\w+))?$", re.MULTILINE
)


def read(file: SqlFile) -> tuple[Setting, ...]:
    """Read the table of settings.

    Raises:
        SourceError: it is no table of settings; the message says why.
    """
    try:
        settings = tuple(
            Setting(name, **{**values, "choices": tuple(values.get("choices", ()))})
            for name, values in tomllib.loads(file.text).items()
        )
    except (tomllib.TOMLDecodeError, TypeError) as error:
        raise SourceError(f"sql/{file.path}: {error}") from error
    for setting in settings:
        if setting.type not in get_args(Type):
            raise SourceError(f"sql/{file.path}: {setting.name} has no type such as integer: {setting.type}")
        bounds = (setting.minimum, setting.maximum)
        if setting.type in ("integer", "interval") and None in bounds:
            raise SourceError(f"sql/{file.path}: {setting.name} needs minimum and maximum")
        if setting.type not in ("integer", "interval") and bounds != (None, None):
            raise SourceError(f"sql/{file.path}: {setting.name} cannot have minimum and maximum")
        if (setting.type == "choice") != (len(setting.choices) > 1):
            raise SourceError(f"sql/{file.path}: {setting.name}: a choice, and no other type, has several choices")
        if setting.type == "choice" and setting.default not in setting.choices:
            raise SourceError(f"sql/{file.path}: {setting.name} cannot be its default, {setting.default}")
    return settings


def write_for_each(settings: Iterable[Setting], text: str) -> str:
    """Write each line of `text` that is marked ``-- for each setting`` once for every setting.

    If the line has no comma at its end, the last of them has none.

    Raises:
        SourceError: a mark names a setting that there is not.
    """
    every = tuple(settings)
    names = [setting.name for setting in every]

    def written(found: re.Match[str]) -> str:
        chosen = every
        if found["side"]:
            if found["name"] not in names:
                raise SourceError(f"{found['line'].strip()}: no setting is called {found['name']}")
            place = names.index(found["name"]) + 1
            chosen = every[:place] if found["side"] == "up to" else every[place:]
        return ",\n".join(fill(found["line"], _values(setting)) for setting in chosen) + found["comma"]

    return _FOR_EACH_SETTING.sub(written, text)


def _values(setting: Setting) -> dict[str, str | list[str] | None]:
    """Return the values of the placeholders. Bounds are texts, because those of intervals are."""
    return {
        "name": setting.name,
        "type": setting.type,
        "minimum": None if setting.minimum is None else str(setting.minimum),
        "maximum": None if setting.maximum is None else str(setting.maximum),
        "choices": list(setting.choices) or None,
    }
