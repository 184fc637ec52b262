"""A server with zone files of its own, to change and to remove as governments and operating systems do."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support import World, connect


class ZoneFiles:
    """The zone files of one server. Connections that are open have read theirs: connect again after a change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._kept: dict[str, bytes] = {}
        self._made: list[Path] = []

    def replace(self, zone: str, other: str) -> None:
        """Give a zone the rules of another one."""
        self._keep(zone)
        # In one step: a backend that begins meanwhile finds the zone.
        new = self.folder.parent / "new zone file"
        new.write_bytes((self.folder / other).read_bytes())
        new.replace(self.folder / zone)

    def remove(self, zone: str) -> None:
        self._keep(zone)
        (self.folder / zone).unlink()

    def invent(self, zone: str, like: str) -> None:
        """Make a zone that nobody else knows."""
        made = self.folder / zone
        made.parent.mkdir(exist_ok=True)
        made.write_bytes((self.folder / like).read_bytes())
        self._made.append(made)

    def rename(self, zone: str, other: str) -> None:
        self.invent(other, like=zone)
        self.remove(zone)

    def _keep(self, zone: str) -> None:
        self._kept.setdefault(zone, (self.folder / zone).read_bytes())

    def restore(self) -> None:
        """Put back every file as it was."""
        for made in self._made:
            made.unlink()
        self._made.clear()
        for zone, content in self._kept.items():
            (self.folder / zone).write_bytes(content)
        self._kept.clear()


@dataclass
class ZonesWorld(World):
    """A world on a server whose zone files can be changed."""

    files: ZoneFiles = field(kw_only=True)

    def gets_rules_of(self, zone: str, other: str, *, refreshed: bool = True) -> None:
        """Give a zone the rules of another one, as an update of the server's time zone data does."""
        self.files.replace(zone, other)
        self._reconnect(refreshed)

    def loses(self, zone: str, *, refreshed: bool = True) -> None:
        """Take a zone away, as another operating system or one without tzdata-legacy does."""
        self.files.remove(zone)
        self._reconnect(refreshed)

    def finds_again(self) -> None:
        """Put back the server's zones as they were."""
        self.files.restore()
        self._reconnect(True)

    def refresh(self) -> None:
        self._reconnect(True)

    def _reconnect(self, refreshed: bool) -> None:
        self.connection.close()
        self.connection = connect(self.url)
        if refreshed:
            self.run("select bookingdb.refresh_time_zones()")


@contextmanager
def with_own_zone_files(bin_dir: Path) -> Iterator[tuple[Path, ZoneFiles]]:
    """Copy what a server with zone files of its own needs, and give its bin folder and the files, until the block ends.

    Only the zone files and the two programs are copied: the programs look for everything else beside themselves.
    """
    installed = bin_dir.parent
    if not (installed / "share" / "timezone").is_dir():
        pytest.skip("these binaries read the zone files of the machine")
    folder = Path(tempfile.mkdtemp(prefix="bookingdb-zones-"))
    # Readable for the account that Postgres may run as.
    folder.chmod(0o755)
    try:
        # The programs look for their libraries three folders up.
        copy = folder / installed.parent.name / installed.name
        (copy / "bin").mkdir(parents=True)
        for libraries in installed.parent.parent.glob("*.libs"):
            (folder / libraries.name).symlink_to(libraries)
        for program in ("postgres", "initdb"):
            shutil.copy2(bin_dir / program, copy / "bin" / program)
        (copy / "lib").symlink_to(installed / "lib")
        (copy / "share").mkdir()
        for path in (installed / "share").iterdir():
            if path.name != "timezone":
                (copy / "share" / path.name).symlink_to(path)
        shutil.copytree(installed / "share" / "timezone", copy / "share" / "timezone")
        yield copy / "bin", ZoneFiles(copy / "share" / "timezone")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
