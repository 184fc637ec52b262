"""A server's share of the machine: its process, its sockets, its port, its files."""

import contextlib
import os
import socket
import subprocess
from pathlib import Path

# Children of this process: kept so that a server that ended can be reaped instead of staying a zombie.
children: list["subprocess.Popen[bytes]"] = []


def is_server(pid: int, pgdata: Path) -> bool:
    """Tell whether process `pid` lives and is the server of `pgdata`; pids are used again, also by servers."""
    children[:] = [child for child in children if child.poll() is None]
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    if Path("/proc/self/stat").exists():
        return is_server_by_proc(pid, pgdata)
    return is_server_by_ps(pid, pgdata)


def is_server_by_proc(pid: int, pgdata: Path) -> bool:
    """For systems with /proc."""
    folder = Path("/proc") / str(pid)
    try:
        arguments = (folder / "cmdline").read_bytes().split(b"\0")
        if os.path.basename(arguments[0]) != b"postgres":  # a zombie has no arguments
            return False
        # A server works in its data directory, and this finds it under every name.
        return os.path.samestat((folder / "cwd").stat(), pgdata.stat())
    except PermissionError:
        return os.fsencode(pgdata) in arguments
    except (FileNotFoundError, ProcessLookupError):
        return False


def is_server_by_ps(pid: int, pgdata: Path) -> bool:
    """For systems without /proc, such as macOS."""
    answers = []
    for field in ("comm", "args"):
        try:
            asked = subprocess.run(
                ["ps", "-ww", "-o", f"{field}=", "-p", str(pid)], capture_output=True, text=True, check=False
            )
        except FileNotFoundError:
            return True  # it lives, and more cannot be known: better not to start a second server
        answers.append(asked.stdout.strip())
    program, command_line = answers  # a zombie has no arguments
    return os.path.basename(program) == "postgres" and str(pgdata) in command_line


def write_private(path: Path, text: str) -> None:
    """Write a new file that only its owner can read."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")


def remove_sockets(folder: Path) -> None:
    """Remove the sockets that a server left in a folder, and the folder if nothing else is in it."""
    # A link is not ours: this may be in a temporary folder that is open to all.
    if folder.is_symlink() or not folder.is_dir():
        return
    for name in folder.glob(".s.PGSQL.*"):
        name.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()


def last_lines(text: str) -> str:
    """The last lines of a log, indented, to follow the line that says what went wrong."""
    return "".join(f"\n  {line}" for line in text.strip().splitlines()[-12:])


def is_free(port: int) -> bool:
    """Tell whether a server could listen on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def find_free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
