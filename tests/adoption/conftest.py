"""Apps of many shapes, as they were found and adopted, each made once; a test that writes gets a copy."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.apps import (
    APPS,
    App,
    server_of,
)
from tests.support import ROOT, Connection, adoption, connect, run
from tests.support.adoption import (
    Adopted,
    Found,
    read_only,
)
from tests.support.hosts import SUPABASE_BEFORE, Host

# What holds of one app mostly holds of all: a sound one and one with every damage are tried each time.
QUICK = ("clean", "drift")


@pytest.fixture(
    params=[pytest.param(app, marks=() if app.name in QUICK else pytest.mark.slow) for app in APPS.values()],
    ids=list(APPS),
)
def app(request: pytest.FixtureRequest) -> App:
    """Each app, unless a test says which."""
    chosen = request.param
    assert isinstance(chosen, App)
    return chosen


@pytest.fixture(scope="session")
def host(request: pytest.FixtureRequest) -> Host:
    """The host on which most is open, unless a test wants every one."""
    chosen = getattr(request, "param", SUPABASE_BEFORE)
    assert isinstance(chosen, Host)
    return chosen


@pytest.fixture(scope="session")
def hosts_server_url(host: Host, request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("supabase_server_url" if host.is_supabase else "server_url"))


@pytest.fixture
def found(app: App, host: Host, hosts_server_url: str) -> Found:
    """The app's database as it was found; only to be read."""
    return adoption.found(app, host, hosts_server_url)


@pytest.fixture
def live(found: Found) -> Iterator[str]:
    """A copy of the app's database as it was found, to be adopted."""
    with found.copy() as url:
        yield url


@pytest.fixture
def taken(app: App, host: Host, hosts_server_url: str) -> Adopted:
    """The app's database, adopted; only to be read."""
    return adoption.adopted(app, host, hosts_server_url)


@pytest.fixture
def url(taken: Adopted) -> Iterator[str]:
    """A copy of the app's database, adopted, to be used."""
    with taken.found.copy(of=taken.url) as copied:
        yield copied


@pytest.fixture
def owner(url: str) -> Iterator[Connection]:
    """The owner of the copy."""
    with connect(url) as connection:
        yield connection


@pytest.fixture
def caller(url: str) -> Iterator[Connection]:
    """The app's own server at the copy."""
    with server_of(url) as connection:
        yield connection


@pytest.fixture
def read_url(taken: Adopted) -> str:
    """The app's database, adopted, for all tests that only read it."""
    return read_only(taken.url)


@pytest.fixture
def reader(read_url: str) -> Iterator[Connection]:
    """The owner of that database, who writes nothing."""
    with connect(read_url) as connection:
        yield connection


_odd_numbers = itertools.count(1)


@pytest.fixture
def smallest(request: pytest.FixtureRequest, supabase_server_url: str) -> Iterator[str]:
    """The smallest app, with what a test adds to it in SQL."""
    name = f"smallest_{next(_odd_numbers)}"
    url = SUPABASE_BEFORE.create_database(supabase_server_url, name)
    with connect(url, options="-c timezone=UTC") as connection:
        script = ROOT / "tests" / "apps" / "plain_tables.sql"
        run(connection, script.read_text(encoding="utf-8") + request.param)
    yield url
    with connect(supabase_server_url) as connection:
        run(connection, f"drop database {name} with (force)")
