"""What the files under sql/ say: the one reading of them that the installer and the verifier share.

A source tree holds migrations (append-only, applied once) and a set that is applied as a whole whenever its checksum
changes: an adapter, the functions, triggers, policies and grants.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

DEFAULT_ADAPTER = "standalone"

# What an installation consists of: groups of objects, by name, with their attributes (see verify.snapshot).
Catalogue = dict[str, dict[str, dict[str, Any]]]


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
        return Path(self.path).stem

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, in hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True)
class FunctionFile(SqlFile):
    """A file that defines exactly one function and its comment."""

    @property
    def schema(self) -> str:
        """The schema of the function, which is the name of the file's folder."""
        return Path(self.path).parent.name

    @cached_property
    def signature(self) -> str:
        """Schema, name and argument types, as the comment gives them: ``public.get_credit_balance(uuid)``."""
        found = re.search(r"^comment on function (\w+\.\w+\([^)]*\)) is$", self.text, re.MULTILINE)
        if found is None:
            raise SourceError(f"sql/{self.path} has no comment on its function")
        return re.sub(r"\(\s+|\s+\)", lambda paren: paren[0].strip(), " ".join(found[1].split()))

    @cached_property
    def body(self) -> str:
        """The text between the dollar quotes: what Postgres keeps as ``prosrc``, byte for byte."""
        parts = self.text.split("$function$")
        if len(parts) != 3:
            raise SourceError(f"sql/{self.path} must quote one function body with $function$")
        return parts[1]


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
    triggers_file: SqlFile
    policies_file: SqlFile
    grants: SqlFile
    catalogue: Catalogue

    @cached_property
    def checksum(self) -> str:
        """SHA-256 over everything but the migrations: the set that is applied as a whole."""
        digest = hashlib.sha256()
        for file in (self.adapter, *self.functions, self.triggers_file, self.policies_file, self.grants):
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
            for s in statements(self.policies_file.text)
            if s.startswith("create policy")
        )

    @cached_property
    def secured_tables(self) -> tuple[str, ...]:
        """The tables with row level security, as ``schema.name``."""
        pattern = re.compile(r"alter table (\S+) enable row level security$")
        return tuple(m[1] for s in statements(self.policies_file.text) if (m := pattern.match(s)))


def _attachment(kind: str, statement: str, pattern: str) -> Attachment:
    found = re.match(pattern, statement, re.DOTALL)
    if found is None:
        raise SourceError(f"cannot tell name and table of: {statement}")
    return Attachment(kind, found[1], found[2], statement)


def folder() -> Path:
    """Where sql/ is: inside the package when it was installed from a wheel, beside it in a checkout."""
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
    """Read sql/.

    Args:
        root: the folder to read; that of the package when left out.
        adapter: which file of ``adapters/`` says who the therapists and clients are, or the path of another file.

    Raises:
        SourceError: a file is missing or not laid out as it must be.

    Example:
        >>> load().migrations[0].name
        '0001_core'
    """
    base = root or folder()

    def read(path: Path) -> SqlFile:
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise SourceError(f"cannot read {path}: {error.strerror}") from error
        return SqlFile(path.relative_to(base).as_posix(), text.replace("\r\n", "\n"))

    files = [read(path) for path in sorted((base / "functions").glob("*/*.sql"))]
    catalogue = base / "catalogue.json"
    return Source(
        migrations=tuple(read(path) for path in sorted((base / "migrations").glob("*.sql"))),
        adapter=own_adapter(Path(adapter)) if adapter.endswith(".sql") else read(base / "adapters" / f"{adapter}.sql"),
        functions=tuple(FunctionFile(file.path, file.text) for file in files),
        triggers_file=read(base / "triggers.sql"),
        policies_file=read(base / "policies.sql"),
        grants=read(base / "grants.sql"),
        catalogue=json.loads(catalogue.read_text(encoding="utf-8")) if catalogue.exists() else {},
    )
