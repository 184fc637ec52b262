"""pgTAP, the unit tests of SQL: where it comes from, and how it gets into a test database.

A server that has the extension (a distribution's package, Supabase) uses its own. For all others pgTAP is loaded as
the plain SQL that it is, from a release that one of the package registries carries: npm, else apt. It is fetched once,
into ``.cache/pgtap`` of the repository.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.support import ROOT, Connection, javascript, run

CACHE = ROOT / ".cache" / "pgtap"

NPM_PACKAGE = "@electric-sql/pglite-pgtap@0.0.15"
# pgTAP 1.3.5, in that package.
NPM_MEMBER = "share/postgresql/extension/pgtap--1.3.5.sql"
NPM_SHA256 = "92ee8ada9672e6201105a78614be8d07b8a76e5c17c85b42c279f6e48c84da68"
APT_PACKAGE = "postgresql-15-pgtap"


class PgtapUnavailable(Exception):
    """No way of getting pgTAP worked; the message says what each of them said."""


def install(connection: Connection) -> None:
    """Put pgTAP into the schema `tap` of a database, as superuser, for everybody to use."""
    run(connection, "create schema tap")
    run(connection, "grant usage on schema tap to public")
    if run(connection, "select name from pg_available_extensions where name = 'pgtap'"):
        run(connection, "create extension pgtap with schema tap")
        return
    with connection.transaction():
        run(connection, "set local search_path = tap")
        run(connection, "set local client_min_messages = warning")
        run(connection, pgtap_sql())


def pgtap_sql() -> str:
    """pgTAP as SQL, from the cache or from a registry.

    Raises:
        PgtapUnavailable: none of the registries can be reached, or none of their clients is here.
    """
    cached = CACHE / "pgtap.sql"
    if not cached.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            arriving = Path(folder) / "pgtap.sql"
            arriving.write_bytes(_fetch(Path(folder)))
            # In one step: another run may look at the same time.
            os.replace(arriving, cached)
    return cached.read_text(encoding="utf-8")


def _fetch(folder: Path) -> bytes:
    ways: tuple[Callable[[Path], bytes], ...] = (from_npm, from_apt)
    failures = []
    for way in ways:
        try:
            return way(folder)
        except (OSError, LookupError, tarfile.TarError, subprocess.CalledProcessError) as error:
            failures.append(f"{way.__name__}: {_explain(error)}")
    raise PgtapUnavailable("pgTAP cannot be had; " + "; ".join(failures))


def _explain(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        return f"{Path(error.cmd[0]).name} said: {(error.stderr or error.stdout).strip()[-300:]}"
    return str(error)


def from_npm(folder: Path) -> bytes:
    """Fetch the npm package."""
    _run([*javascript.npm(), "pack", "--silent", NPM_PACKAGE], folder)
    (package,) = folder.glob("*.tgz")
    inner = _member(package.read_bytes(), "package/dist/pgtap.tar.gz")
    sql = _member(inner, NPM_MEMBER)
    if hashlib.sha256(sql).hexdigest() != NPM_SHA256:
        raise LookupError(f"{NPM_MEMBER} of {NPM_PACKAGE} is not the file it was")
    return sql


def from_apt(folder: Path) -> bytes:
    """Fetch Debian's package, and unpack it without installing it."""
    _run(["apt-get", "download", APT_PACKAGE], folder)
    (package,) = folder.glob(f"{APT_PACKAGE}_*.deb")
    _run(["dpkg-deb", "--extract", package.name, "deb"], folder)
    (sql,) = (path for path in folder.glob("deb/**/pgtap--*.sql") if path.stem.count("--") == 1)
    return sql.read_bytes()


def _run(command: list[str], folder: Path) -> None:
    if shutil.which(command[0]) is None:
        raise LookupError(f"{command[0]} is not installed")
    subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def _member(archive: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(archive))) as files:
        member = files.extractfile(name)
        if member is None:
            raise LookupError(f"{name} is not a file")
        return member.read()
