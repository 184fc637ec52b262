"""What users install: the wheel, in a virtual environment with nothing else, does the main job."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support import ROOT

pytestmark = pytest.mark.slow


def run(*command: object, **environment: str) -> str:
    result = subprocess.run(
        [str(part) for part in command],
        env={**os.environ, **environment},
        cwd="/",
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = ("-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir")
    run(sys.executable, *build, folder, ROOT)
    (found,) = folder.glob("bookingdb-*.whl")
    return found


def test_the_wheel_holds_the_package_and_all_of_sql(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {f"bookingdb/{path.relative_to(ROOT)}" for path in (ROOT / "sql").rglob("*") if path.is_file()}
    expected |= {str(path.relative_to(ROOT)) for path in (ROOT / "bookingdb").rglob("*.sql")}
    texts = (ROOT / "bookingdb" / "worker" / "templates").rglob("*.*")
    expected |= {str(path.relative_to(ROOT)) for path in texts}
    assert expected <= names
    assert "bookingdb/worker/templates/de/session.booked.jinja" in names
    assert "bookingdb/py.typed" in names
    assert not {name for name in names if name.startswith("tests/")}


def test_the_wheel_installs_and_does_the_main_job(wheel: Path, owned_database: str, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
    bookingdb = tmp_path / "venv" / "bin" / "bookingdb"
    url = {"BOOKINGDB_DATABASE_URL": owned_database}

    assert "Applied migration 0001_core." in run(bookingdb, "migrate", **url)
    assert "no findings" in run(bookingdb, "verify", **url)
    client = run(python, "-c", BOOK, **url)
    assert "1 left" in client


BOOK = """
import datetime, os
from bookingdb import Bookings
bookings = Bookings(os.environ["BOOKINGDB_DATABASE_URL"])
therapist = bookings.register_therapist("grace@example.com")
client = bookings.register_client("ada@example.com")
bookings.grant_credits(client, 2)
starts_at = datetime.datetime.now(datetime.UTC).replace(second=0, microsecond=0) + datetime.timedelta(days=1)
session = bookings.book_session(user_id=client, therapist_id=therapist, starts_at=starts_at)
print(session.credits_balance, "left")
"""
