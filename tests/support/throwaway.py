"""The folder of a throwaway server: in memory where there is room, for to make a database is to make 300 files."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

MEMORY = Path("/dev/shm")
# Several times what the servers of a run take; containers often have 64 MB of it.
ROOM = 4 * 1024**3
PREFIX = "bookingdb-server-"


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Make a folder that is gone after the block; one that a killed run has left behind is removed by the next."""
    parent = MEMORY if _has_room() else Path(tempfile.gettempdir())
    with _locked(parent):
        for left in parent.glob(f"{PREFIX}*"):
            # Whoever uses it holds a lock on it. A server that still runs in it ends when it misses its files.
            with contextlib.suppress(OSError), _locked(left, fcntl.LOCK_NB):
                shutil.rmtree(left, ignore_errors=True)
        made = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        in_use = contextlib.ExitStack()
        in_use.enter_context(_locked(made))
    with in_use:
        yield made
        shutil.rmtree(made, ignore_errors=True)


def _has_room() -> bool:
    try:
        space = os.statvfs(MEMORY)
    except OSError:
        return False
    return os.access(MEMORY, os.W_OK) and space.f_bavail * space.f_frsize >= ROOM


@contextlib.contextmanager
def _locked(path: Path, options: int = 0) -> Iterator[None]:
    """Hold a lock on a folder; no program that is started meanwhile inherits it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | options)
        yield
    finally:
        os.close(descriptor)
