"""Which database a command talks to, and what is said when it does not answer."""

import dataclasses
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import click
import psycopg
import pytest
import testing.postgresql
from click.testing import CliRunner, Result
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bookingdb import database
from bookingdb.cli.console import open_database
from bookingdb.cli.main import Commands, main
from bookingdb.cli.options import database_url_option
from bookingdb.database import DatabaseUnreachable, NoDatabase, Target
from bookingdb.local import machine
from bookingdb.local.server import LocalServer
from tests.support import World

VARIABLES = (*database.URL_VARIABLES, *database.LIBPQ_VARIABLES, "PGPASSWORD", "PGCONNECT_TIMEOUT")
SECRET = "hunter2-is-my-secret"
PASSWORD_SEEN = (
    "bookingdb: while this runs, everybody on this machine can read the password of --database-url (ps);"
    " PGPASSFILE, PGSERVICE or BOOKINGDB_DATABASE_URL keep it\n"
)


@click.group(cls=Commands)
def group() -> None:
    """Stand for `bookingdb`."""


@group.command()
@database_url_option
def ask(database_url: str | None) -> None:
    """Stand for any command that talks to a database."""
    with open_database(database_url) as connection:
        click.echo(connection.execute("select current_database()").fetchone())


def asked(*arguments: str) -> Result:
    return CliRunner().invoke(group, ["ask", *arguments])


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of the developer's names a database, and their local server is not seen."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))


@pytest.fixture(scope="module")
def url(server: testing.postgresql.Postgresql) -> str:
    """A server with the databases named_1 to named_4."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        for number in (1, 2, 3, 4):
            connection.execute(f"create database named_{number}".encode())
    return str(server.url())


def named(url: str, number: int) -> str:
    return url.rsplit("/", 1)[0] + f"/named_{number}"


def closed_port() -> int:
    return machine.find_free_port()


@pytest.fixture(scope="module")
def local_data_home() -> Iterator[Path]:
    """An XDG data home whose default local server runs."""
    home = Path(tempfile.mkdtemp(prefix="bookingdb-test-"))
    home.chmod(0o755)
    server = LocalServer(home / "bookingdb" / "postgres")
    server.start(0)
    yield home
    server.stop()
    shutil.rmtree(home)


# --- the order ---


@pytest.mark.slow
def test_each_source_yields_to_the_one_before_it(
    url: str, local_data_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(argument: str | None = None) -> tuple[str, str]:
        target = database.resolve(argument)
        with database.connect(target) as connection:
            return connection.info.dbname, target.origin

    monkeypatch.setenv("XDG_DATA_HOME", str(local_data_home))
    assert found() == ("bookingdb", "the local server")
    parts = conninfo_to_dict(named(url, 4))
    for variable, key in (("PGHOST", "host"), ("PGPORT", "port"), ("PGDATABASE", "dbname"), ("PGUSER", "user")):
        monkeypatch.setenv(variable, str(parts[key]))
    assert found() == ("named_4", "PGHOST, PGPORT, PGDATABASE, PGUSER")
    monkeypatch.setenv("DATABASE_URL", named(url, 3))
    assert found() == ("named_3", "DATABASE_URL")
    monkeypatch.setenv("BOOKINGDB_DATABASE_URL", named(url, 2))
    assert found() == ("named_2", "BOOKINGDB_DATABASE_URL")
    assert found(named(url, 1)) == ("named_1", "--database-url")


def test_selftest_races_on_the_database_of_a_service(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = conninfo_to_dict(world.url)
    services = tmp_path / "services.conf"
    services.write_text("[practice]\n" + "".join(f"{key}={value}\n" for key, value in parts.items()))
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    monkeypatch.setenv("PGSERVICE", "practice")
    result = CliRunner().invoke(main, ["selftest"])
    assert (result.exit_code, result.stdout.count("ok    ")) == (0, 13)


@pytest.mark.parametrize("name", database.LIBPQ_VARIABLES)
def test_any_of_libpqs_variables_is_enough(name: str, local_data_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(local_data_home))
    monkeypatch.setenv(name, "9")
    assert database.resolve() == Target("", name)


def test_libpqs_other_variables_and_empty_ones_name_no_database(
    local_data_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(local_data_home))
    monkeypatch.setenv("PGPASSWORD", "x")
    for name in (*database.URL_VARIABLES, *database.LIBPQ_VARIABLES):
        monkeypatch.setenv(name, "")
    assert database.resolve().origin == "the local server"


def test_nothing_named_and_nothing_running() -> None:
    with pytest.raises(NoDatabase, match="bookingdb local start"):
        database.resolve()
    result = asked()
    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1


def test_named_database_that_is_down_is_never_replaced(
    url: str, local_data_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(local_data_home))
    port = closed_port()
    dead = f"postgresql://ann:{SECRET}@127.0.0.1:{port}/app"
    monkeypatch.setenv("DATABASE_URL", url)
    for arguments, variable in ((["--database-url", dead], None), ([], "BOOKINGDB_DATABASE_URL")):
        if variable:
            monkeypatch.setenv(variable, dead)
        result = asked(*arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr == (
            f"bookingdb: cannot reach database app on 127.0.0.1:{port} "
            f"(from {variable or '--database-url'}): connection failed: connection to server at "
            f'"127.0.0.1", port {port} failed: Connection refused\n'
        )
    # An argument that a shell's empty variable left empty is a mistake, not a wish for another database.
    empty = asked("--database-url", "")
    assert empty.exit_code == 2
    assert "--database-url is not a database URL" in empty.stderr


def test_every_command_says_where_it_is(url: str) -> None:
    with_password = url.replace("postgres@", f"postgres:{SECRET}@")  # the server trusts, and does not ask for it
    result = asked("--database-url", with_password)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == "('test',)\n"
    port = conninfo_to_dict(url)["port"]
    assert result.stderr == (
        f"bookingdb: database test on 127.0.0.1:{port} as postgres (from --database-url)\n{PASSWORD_SEEN}"
    )


def test_a_unix_socket_is_described_by_its_folder(local_data_home: Path) -> None:
    server = LocalServer(local_data_home / "bookingdb" / "postgres")
    status = server.status()
    with database.connect(make_conninfo(server.url(), host=str(status.socket_dir))) as connection:
        told = database.describe(connection)
    assert told == f"database bookingdb on socket {status.socket_dir}, port {status.port} as postgres"


# --- forms of a URL ---


def test_forms_that_are_understood(url: str) -> None:
    parts = conninfo_to_dict(url)
    for form in (
        url,
        url.replace("postgresql://", "postgres://"),
        url.replace("postgresql://", "postgresql+psycopg://"),
        f"  {url}\n",
        make_conninfo(url),
        "host=127.0.0.1 port={port} user=postgres dbname=test".format(**parts),
    ):
        with database.connect(database.resolve(form)) as connection:
            assert connection.info.dbname == "test"
        with database.connect(form) as connection:
            assert connection.info.dbname == "test"


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://ann:x@{SECRET}@db.example.com/app",
        f"postgresql://ann:x/{SECRET}@db.example.com/app",
        f"postgresql://ann:1/{SECRET}@db.example.com/app",
        f"postgresql://ann:{SECRET}/x@db.example.com/app",
        f"postgresql://ann:{SECRET}%zz@db.example.com/app",
        f"postgresql://ann:{SECRET}@[::1",
        f"postgresql://ann:{SECRET}@db.example.com:port/app",
        f"postgresql://ann:{SECRET}@db.example.com/app?nonsense=1",
        f"mysql://ann:{SECRET}@db.example.com/app",
        f"host=db.example.com password=x {SECRET}",
        f"host=db.example.com {SECRET}=x",
        f"https://db.example.com/?{SECRET}",
        SECRET,
    ],
)
@pytest.mark.parametrize("source", ["--database-url", "BOOKINGDB_DATABASE_URL"])
def test_a_url_that_cannot_be_read_is_not_repeated(source: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if source.startswith("--"):
        result = asked(source, text)
    else:
        monkeypatch.setenv(source, text)
        result = asked()
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"bookingdb: {source} is not a database URL; ")
    assert len(result.stderr.splitlines()) == 1
    assert SECRET not in result.stderr
    assert "ann" not in result.stderr


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://ann:{SECRET}@no-such-host.invalid/app",
        f"postgresql://ann:{SECRET}@{'a' * 70}/app",
        f"postgresql://ann:{SECRET}@127.0.0.1:1,127.0.0.1:2/app",
        f"postgresql://ann:{SECRET}@127.0.0.1:99999999/app",
        f"postgresql://ann:{SECRET}@127.0.0.1:1/app?sslmode=nonsense",
        f"postgresql://ann:{SECRET}@127.0.0.1:1/app?connect_timeout=soon",
        f"postgresql://ann@127.0.0.1:1/app?password={SECRET}&sslmode=require&sslpassword={SECRET}",
        f"host=/nonexistent password={SECRET}",
    ],
)
def test_unreachable_database_is_one_line_without_a_password(text: str) -> None:
    result = asked("--database-url", text)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("bookingdb: cannot reach ")
    assert "(from --database-url): " in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert SECRET not in result.stderr


def test_a_wrong_password_and_a_missing_database(local_data_home: Path) -> None:
    url = LocalServer(local_data_home / "bookingdb" / "postgres").url()
    wrong = quote(f"{SECRET}@/%", safe="")
    result = asked("--database-url", f"postgresql://postgres:{wrong}@{url.partition('@')[2]}")
    assert result.exit_code == 2
    assert 'password authentication failed for user "postgres"' in result.stderr
    assert SECRET not in result.stderr
    missing = asked("--database-url", url.replace("/bookingdb", "/missing"))
    assert missing.exit_code == 2
    assert 'database "missing" does not exist' in missing.stderr
    assert str(conninfo_to_dict(url)["password"]) not in missing.stderr


def test_a_password_of_the_environment_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "127.0.0.1")
    monkeypatch.setenv("PGPORT", str(closed_port()))
    monkeypatch.setenv("PGUSER", "ann")
    monkeypatch.setenv("PGPASSWORD", "refused")  # a word that libpq's explanation contains
    result = asked()
    assert result.exit_code == 2
    assert "cannot reach database ann on 127.0.0.1:" in result.stderr
    assert "(from PGHOST, PGPORT, PGUSER): connection failed\n" in result.stderr


def test_password_equal_to_the_user_does_not_hide_the_reason() -> None:
    result = asked("--database-url", f"postgresql://refused:refused@127.0.0.1:{closed_port()}/app")
    assert "Connection refused" in result.stderr


def test_a_target_shows_no_password_when_printed() -> None:
    target = database.resolve(f"postgresql://ann:{SECRET}@db.example.com/app")
    assert SECRET not in repr(target)
    assert SECRET not in repr(dataclasses.replace(target, origin="x"))
    assert SECRET in target.conninfo


# --- the connection ---


def test_the_connection_is_fit_for_a_transaction_pooler(url: str) -> None:
    with database.connect(url) as connection:
        assert connection.autocommit is True
        assert connection.prepare_threshold is None
        assert connection.info.get_parameters()["application_name"] == "bookingdb"
        assert "options" not in connection.info.get_parameters()
        for _ in range(8):  # psycopg prepares a statement at its fifth use
            connection.execute("select 1")
        assert connection.execute("select count(*) from pg_prepared_statements").fetchone() == (0,)
    with database.connect(f"{url}?application_name=mine") as connection:
        assert connection.info.get_parameters()["application_name"] == "mine"


def test_a_host_in_the_url_is_not_overridden_by_the_environment(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOSTADDR", "127.0.0.9")
    with database.connect(url) as connection:
        assert connection.info.hostaddr == "127.0.0.1"


def test_a_server_that_accepts_and_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    assert database.CONNECT_TIMEOUT == 10
    monkeypatch.setattr(database, "CONNECT_TIMEOUT", 3)  # so that nobody waits for the ten seconds

    def seconds(options: str) -> float:
        begun = time.monotonic()
        with pytest.raises(DatabaseUnreachable, match="timeout"):
            database.connect(f"postgresql://ann@127.0.0.1:{port}/app{options}")
        return time.monotonic() - begun

    with socket.create_server(("127.0.0.1", 0)) as silent, ThreadPoolExecutor() as pool:
        port = silent.getsockname()[1]
        by_default, by_wish = pool.map(seconds, ["", "?connect_timeout=2"])
    assert 2.5 < by_default < 6
    assert by_wish < by_default


def test_a_command_that_fails_shows_one_line_and_no_traceback(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    @click.group(cls=Commands)
    def failing() -> None:
        """Commands that end in each kind of error."""

    @failing.command()
    def refused() -> None:
        database.connect(url).execute("select\n1/0")

    @failing.command()
    def cut_off() -> None:
        database.connect(url).execute("select pg_terminate_backend(pg_backend_pid())")

    @failing.command()
    def no_file() -> None:
        Path("/nonexistent/file").read_text()

    @failing.command()
    def bug() -> None:
        raise ValueError("two\nlines")

    expected = {
        "refused": (1, "bookingdb: the database refused: division by zero (22012)\n"),
        "cut-off": (2, "bookingdb: the database went away: terminating connection due to administrator command"),
        "no-file": (1, "bookingdb: /nonexistent/file: No such file or directory\n"),
        "bug": (1, "bookingdb: unexpected ValueError: two lines (BOOKINGDB_DEBUG=1 shows where)\n"),
    }
    for command, (exit_code, line) in expected.items():
        result = CliRunner().invoke(failing, [command])
        assert result.exit_code == exit_code, command
        assert result.stderr.startswith(line)
        assert len(result.stderr.splitlines()) == 1
    monkeypatch.setenv("BOOKINGDB_DEBUG", "1")
    debugged = CliRunner().invoke(failing, ["bug"])
    assert (debugged.exit_code, "Traceback" in debugged.stderr) == (1, True)
