"""The files under sql/: the one reading of them that the installer and the verifier share.

A source tree holds migrations (append-only, applied once) and a set that is applied as a whole whenever its checksum
changes: an adapter, the functions, triggers, row security and grants.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from bookingdb.install import inlining, policy_settings
from bookingdb.install.functions import ROOMS, FunctionFile, SourceError, SqlFile, composite_types, face
from bookingdb.policy_setting import Setting

__all__ = [
    "DEFAULT_ADAPTER",
    "Attachment",
    "Catalogue",
    "FunctionFile",
    "Source",
    "SourceError",
    "SqlFile",
    "folder",
    "load",
    "normalise",
    "own_adapter",
    "statements",
]

DEFAULT_ADAPTER = "standalone"

# The objects of an installation: groups of objects, by name, with their attributes (see verify.snapshot).
Catalogue = dict[str, dict[str, dict[str, Any]]]


@dataclass(frozen=True)
class Attachment:
    """A trigger or policy: something that hangs on a table and is dropped and made, never replaced."""

    kind: str
    name: str
    table: str
    statement: str

    @property
    def definition(self) -> str:
        """The statement in the form in which two of them can be compared."""
        return normalise(self.statement)


def normalise(statement: str) -> str:
    """Bring a statement into the form in which the files and the catalogue can be compared.

    >>> normalise("CREATE  POLICY p ON t USING ( (a = 1) );")
    'create policy p on t using ((a = 1))'
    """
    text = " ".join(statement.rstrip("; \n").lower().split())
    return re.sub(r"(?<=\() | (?=\))", "", text)


def statements(text: str) -> list[str]:
    """Split a file without dollar quotes into its statements, comments left out."""
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
    return [statement.strip() for statement in re.split(r";\s*(?:\n|$)", code) if statement.strip()]


@dataclass(frozen=True)
class Source:
    """Everything under sql/, read once."""

    migrations: tuple[SqlFile, ...]
    adapter: SqlFile
    functions: tuple[FunctionFile, ...]
    policy_settings: tuple[Setting, ...]
    triggers_file: SqlFile
    row_security_file: SqlFile
    grants_file: SqlFile
    catalogue: Catalogue

    @cached_property
    def checksum(self) -> str:
        """SHA-256 over everything but the migrations: the set that is applied as a whole."""
        digest = hashlib.sha256()
        for file in (self.adapter, *self.functions, self.triggers_file, self.row_security_file, self.grants_file):
            digest.update(f"{file.path}\n{file.checksum}\n".encode())
        return digest.hexdigest()

    @cached_property
    def content(self) -> str:
        """SHA-256 over everything, migrations too: two sources with the same one install the same."""
        digest = hashlib.sha256(self.checksum.encode())
        for file in self.migrations:
            digest.update(f"{file.path}\n{file.checksum}\n".encode())
        return digest.hexdigest()

    @cached_property
    def public_functions(self) -> tuple[FunctionFile, ...]:
        """The faces: the functions of the schema public."""
        return tuple(function for function in self.functions if function.schema == "public")

    @cached_property
    def engine(self) -> tuple[FunctionFile, ...]:
        """The functions of the schema bookingdb, room by room."""
        return tuple(function for function in self.functions if function.schema == "bookingdb")

    @cached_property
    def adoption(self) -> tuple[FunctionFile, ...]:
        """The functions that only an adopted database has."""
        return tuple(function for function in self.functions if function.is_for_adoption)

    @cached_property
    def without_adoption(self) -> Source:
        """The files without the functions of the room adoption, as a database has them that was not adopted."""
        left_out = {f"{function.schema}.{function.name}" for function in self.adoption}
        catalogue = {
            group: {
                name: attributes
                for name, attributes in objects.items()
                if name.partition("(")[0].removeprefix("function ") not in left_out
            }
            for group, objects in self.catalogue.items()
        }
        functions = tuple(function for function in self.functions if not function.is_for_adoption)
        return replace(self, functions=functions, catalogue=catalogue)

    @cached_property
    def grants(self) -> str:
        """The statement that takes away and gives every privilege.

        The headers of the functions say who may execute them.
        """
        called = [f for f in self.engine if f.header.access]
        faces = {function.name: function.signature for function in self.public_functions}
        return _filled_in(
            self.grants_file,
            faces=list(faces.values()),
            called=[function.signature for function in called],
        )

    @cached_property
    def views(self) -> tuple[str, ...]:
        """The adapter's statements but its triggers, which wait for the functions they call."""
        return tuple(s for s in statements(self.adapter.text) if not s.startswith("create trigger"))

    @cached_property
    def triggers(self) -> tuple[Attachment, ...]:
        """All triggers: those of triggers.sql and the adapter's."""
        found = [s for file in (self.triggers_file, self.adapter) for s in statements(file.text)]
        return tuple(
            _attachment("trigger", s, r"create trigger (\S+) .*? on (\S+)")
            for s in found
            if s.startswith("create trigger")
        )

    @cached_property
    def policies(self) -> tuple[Attachment, ...]:
        """All row level security policies."""
        return tuple(
            _attachment("policy", s, r"create policy (\S+) on (\S+)")
            for s in statements(self.row_security_file.text)
            if s.startswith("create policy")
        )

    @cached_property
    def secured_tables(self) -> tuple[str, ...]:
        """The tables with row level security, as ``schema.name``."""
        pattern = re.compile(r"alter table (\S+) enable row level security$")
        return tuple(m[1] for s in statements(self.row_security_file.text) if (m := pattern.match(s)))


def _attachment(kind: str, statement: str, pattern: str) -> Attachment:
    found = re.match(pattern, statement, re.DOTALL)
    if found is None:
        raise SourceError(f"cannot tell name and table of: {statement}")
    return Attachment(kind, found[1], found[2], statement)


def _filled_in(file: SqlFile, **lists: list[str]) -> str:
    """Put lists of names in the place of their comments: ``array[/* NAME */]`` gets the list of that name."""
    text = file.text
    for name, items in lists.items():
        place = f"array[/* {name} */]"
        if text.count(place) != 1:
            raise SourceError(f"sql/{file.path} must have {place} once")
        listed = ",".join(f"\n        '{item}'" for item in items)
        text = text.replace(place, f"array[{listed}\n    ]")
    return text


def folder() -> Path:
    """Return the folder sql/: inside the package when it was installed from a wheel, beside it in a checkout."""
    package = Path(__file__).parent.parent
    for candidate in (package / "sql", package.parent / "sql"):
        if (candidate / "migrations").is_dir():
            return candidate
    raise SourceError(f"no sql/ folder in or beside {package}")


def own_adapter(path: Path, text: str | None = None) -> SqlFile:
    """An adapter that is no file of ours: read from `path`, or with the text it had when it was installed.

    Wherever it lies, its name is what counts.

    Raises:
        SourceError: the file cannot be read.
    """
    try:
        content = path.read_text(encoding="utf-8") if text is None else text
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"cannot read {path}: {error}") from error
    return SqlFile(f"/{path.name}", content.replace("\r\n", "\n"))


def load(root: Path | None = None, adapter: str = DEFAULT_ADAPTER) -> Source:
    """Read sql/. The package's own folder is read once in a process, and every call returns the same object.

    Args:
        root: the folder to read; that of the package when left out.
        adapter: which file of ``adapters/`` says who the therapists and clients are, or the path of another file.

    Raises:
        SourceError: a file is missing or not laid out as it must be.

    Example:
        >>> load().migrations[0].name
        '0001_core'
    """
    if root is not None:
        return _read(root, adapter)
    if adapter.endswith(".sql"):
        return replace(_of_package(DEFAULT_ADAPTER), adapter=own_adapter(Path(adapter)))
    return _of_package(adapter)


@cache
def _of_package(adapter: str) -> Source:
    return _read(folder(), adapter)


def _read(base: Path, adapter: str) -> Source:
    def read(path: Path) -> SqlFile:
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise SourceError(f"cannot read {path}: {error.strerror}") from error
        return SqlFile(path.relative_to(base).as_posix(), text.replace("\r\n", "\n"))

    def functions() -> Iterator[FunctionFile]:
        rooms = base / "functions"
        if strangers := sorted({path.parent.name for path in rooms.glob("*/*.sql")} - set(ROOMS)):
            raise SourceError(f"sql/functions/{strangers[0]} is no room that bookingdb.install.functions.ROOMS lists")
        for room in ROOMS:
            for path in sorted((rooms / room).glob("*.sql")):
                file = read(path)
                yield FunctionFile(file.path, policy_settings.write_for_each(settings, file.text))

    settings = policy_settings.read(read(base / "policy_settings.toml"))
    migrations = tuple(read(path) for path in sorted((base / "migrations").glob("*.sql")))
    types = composite_types(migrations)
    engine = tuple(inlining.inline(functions()))
    faces = (face(function, types) for function in engine if function.is_public)
    catalogue = base / "catalogue.json"
    return Source(
        migrations=migrations,
        adapter=own_adapter(Path(adapter)) if adapter.endswith(".sql") else read(base / "adapters" / f"{adapter}.sql"),
        functions=(*engine, *sorted(faces, key=lambda function: function.name)),
        policy_settings=settings,
        triggers_file=read(base / "triggers.sql"),
        row_security_file=read(base / "row_security.sql"),
        grants_file=read(base / "grants.sql"),
        catalogue=json.loads(catalogue.read_text(encoding="utf-8")) if catalogue.exists() else {},
    )
