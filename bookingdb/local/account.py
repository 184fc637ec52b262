"""Run Postgres's programs as root, which they refuse to be.

Postgres does not run as uid 0. `choose_account` finds a way to run it all the same:

- ``ordinary``: we are not root, nothing is to be done.
- ``namespace``: the program runs in a user namespace that maps an unprivileged id to root. Its files go on
  belonging to root, no user is added and no permission changes. Linux only, and some containers refuse it.
- ``nobody``: the program runs as the user nobody, with a private copy of the binaries where nobody cannot
  read the installed ones. Its files belong to nobody.

The environment variable ``BOOKINGDB_ROOT_MODE`` (``namespace`` or ``nobody``) forces one of the last two.

This file is also a script that takes up such an account and becomes the program, keeping its process id:

    python -I -S account.py namespace|nobody [--throwaway] -- PROGRAM ARGUMENTS...

Every start of a server pays for the imports at the top of it, so they are few.
"""

import os
import pwd
import sys

MODE_VARIABLE = "BOOKINGDB_ROOT_MODE"
UNPRIVILEGED_ID = 65534
CLONE_NEWUSER = 0x10000000


class NoUnprivilegedAccount(Exception):
    """We are root, and nothing here lets Postgres run as somebody else. The message says what to do."""


class Account:
    """The way Postgres's programs are run: in which mode, from which folder, and who owns their files.

    `owner` is the (uid, gid) that files of the server must belong to, as seen from outside.

    Example: ``subprocess.run(account.command("initdb", "--version"))``
    """

    def __init__(self, mode: str, bin_dir: str) -> None:
        """`mode` is ordinary, namespace or nobody; `bin_dir` is a folder this account can read."""
        self.mode = mode
        self.bin_dir = bin_dir
        self.owner = nobody() if mode == "nobody" else (os.geteuid(), os.getegid())

    def command(self, program: str, *arguments: str, throwaway: bool = False) -> list[str]:
        """The argument list that runs `program` of the binaries; see `_hand_over` for `throwaway`."""
        command = [os.path.join(self.bin_dir, program), *arguments]
        if self.mode == "ordinary":
            return command
        options = ["--throwaway"] if throwaway else []
        return [sys.executable, "-I", "-S", os.path.abspath(__file__), self.mode, *options, "--", *command]

    def take(self, path: str) -> None:
        """Make `path`, and all in it, belong to this account. Nothing happens where it does already."""
        status = os.lstat(path)
        if (status.st_uid, status.st_gid) == self.owner or self.mode == "ordinary":
            return
        # The folder itself comes last: interrupted half-way, the next call starts over.
        for folder, names, files in os.walk(path, topdown=False):
            for name in (*names, *files):
                os.lchown(os.path.join(folder, name), *self.owner)
        os.lchown(path, *self.owner)


def nobody() -> tuple[int, int]:
    """The uid and gid of the user nobody."""
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return UNPRIVILEGED_ID, UNPRIVILEGED_ID
    return entry.pw_uid, entry.pw_gid


def choose_account(bin_dir: str, copy_to: str) -> Account:
    """Find the account that the binaries of `bin_dir` can run from here.

    `copy_to` is the folder for the private copy of the binaries, should one be needed. In the mode nobody,
    everybody may then enter (not list) the folder around it. Raises `NoUnprivilegedAccount`.

    Example: ``account = choose_account("/usr/lib/postgresql/17/bin", "/var/lib/bookingdb/binaries")``
    """
    if os.geteuid() != 0:
        return Account("ordinary", bin_dir)
    forced = os.environ.get(MODE_VARIABLE)
    if forced not in (None, "", "namespace", "nobody"):
        raise NoUnprivilegedAccount(f"{MODE_VARIABLE} must be namespace or nobody")
    problems = []
    for mode in [forced] if forced else ["namespace", "nobody"]:
        try:
            if mode == "nobody":
                _let_in(os.path.dirname(copy_to))
                account = Account(mode, _readable_binaries(bin_dir, copy_to))
            else:
                account = Account(mode, bin_dir)
            _probe(account)
        except OSError as error:
            problems.append(f"{mode}: {error.strerror or error}")
        else:
            return account
    raise NoUnprivilegedAccount(
        f"Postgres refuses to run as root, and no other way works here ({'; '.join(problems)}). "
        "Run this as an ordinary user, or name a server that runs elsewhere with --database-url"
    )


def blocking_folder(path: str) -> str | None:
    """The outermost folder of `path` (itself included) that nobody may not enter, or None. Root only.

    Raises OSError where root may not become nobody.
    """
    folders = [os.path.abspath(path)]
    while folders[-1] != "/":
        folders.append(os.path.dirname(folders[-1]))
    for folder in reversed(folders):
        if not _nobody_may(folder):
            return folder
    return None


def _nobody_may(path: str) -> bool:
    import subprocess  # noqa: PLC0415 - not when this file runs as a script

    uid, gid = nobody()
    try:
        # The kernel's answer, which knows access control lists and mount options; /bin/sh is everywhere.
        checked = subprocess.run(
            ["/bin/sh", "-c", 'test -x "$1"', "sh", path],
            user=uid, group=gid, extra_groups=[], cwd="/", stderr=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    except subprocess.SubprocessError as error:
        raise OSError(f"root may not become uid {uid}") from error
    return checked.returncode == 0


def _probe(account: Account) -> None:
    """Raise OSError when `account` cannot run a program of its binaries."""
    import subprocess  # noqa: PLC0415 - not when this file runs as a script

    tried = subprocess.run(
        account.command("postgres", "--version"), cwd="/", capture_output=True, text=True, check=False
    )
    if tried.returncode != 0:
        raise OSError(tried.stderr.strip() or f"exit {tried.returncode}")


def _readable_binaries(bin_dir: str, copy_to: str) -> str:
    """`bin_dir` when nobody can use it, else the bin folder of a copy under `copy_to`."""
    import shutil  # noqa: PLC0415 - not when this file runs as a script

    if _nobody_may(os.path.join(bin_dir, "postgres")):
        return bin_dir
    # A wheel keeps the libraries of PACKAGE/pginstall/bin in PACKAGE.libs, found by their relative path.
    prefix = os.path.dirname(os.path.abspath(bin_dir))
    package = os.path.dirname(prefix)
    copied_package = os.path.join(copy_to, os.path.basename(package) or "postgres")
    copied_prefix = os.path.join(copied_package, os.path.basename(prefix))
    copied_bin = os.path.join(copied_prefix, os.path.basename(bin_dir))
    if not _same_file(os.path.join(bin_dir, "postgres"), os.path.join(copied_bin, "postgres")):
        shutil.rmtree(copy_to, ignore_errors=True)
        os.makedirs(copied_package)
        if os.path.isdir(f"{package}.libs"):
            shutil.copytree(f"{package}.libs", f"{copied_package}.libs")
        for name in ("share", "lib", os.path.basename(bin_dir)):  # bin last: its presence means complete
            if os.path.isdir(os.path.join(prefix, name)):
                shutil.copytree(os.path.join(prefix, name), os.path.join(copied_prefix, name), symlinks=True)
        for folder, _, files in os.walk(copy_to):  # whatever the umask was
            os.chmod(folder, 0o755)
            for name in files:
                path = os.path.join(folder, name)
                if not os.path.islink(path):
                    mode = os.stat(path).st_mode
                    os.chmod(path, mode | (0o555 if mode & 0o100 else 0o444))
    return copied_bin


def _let_in(folder: str) -> None:
    mode = os.stat(folder).st_mode
    if mode & 0o011 != 0o011:
        os.chmod(folder, mode | 0o011)


def _same_file(original: str, copy: str) -> bool:
    try:
        first, second = os.stat(original), os.stat(copy)
    except FileNotFoundError:
        return False
    return (first.st_size, int(first.st_mtime)) == (second.st_size, int(second.st_mtime))


def _enter_namespace() -> None:
    import ctypes  # noqa: PLC0415 - the mode nobody does not need it

    uid, gid = os.geteuid(), os.getegid()
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "unshare"):
        raise OSError("this system has no user namespaces")
    if library.unshare(CLONE_NEWUSER) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"user namespace refused: {os.strerror(number)}")
    for name, text in (
        ("setgroups", "deny"),  # the kernel takes no gid_map before
        ("uid_map", f"{UNPRIVILEGED_ID} {uid} 1"),
        ("gid_map", f"{UNPRIVILEGED_ID} {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def _become_nobody() -> None:
    uid, gid = nobody()
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def _hand_over(arguments: list[str]) -> None:
    """Give nobody the folders after -D and -k, as testing.postgresql makes them for one throwaway server.

    They lie in a temporary folder of root's; nobody may enter it only when nothing else is in there.
    """
    account = Account("nobody", "")
    for position, folder in enumerate(arguments):
        if position > 0 and arguments[position - 1] in ("-D", "-k"):
            os.makedirs(folder, mode=0o700, exist_ok=True)
            account.take(folder)
            around = os.path.dirname(os.path.abspath(folder))
            if set(os.listdir(around)) <= {"data", "tmp", "Postgresql.log"}:
                _let_in(around)


def _become_program(arguments: list[str]) -> None:
    mode, *rest = arguments
    separator = rest.index("--")
    options, command = rest[:separator], rest[separator + 1 :]
    if mode == "namespace":
        _enter_namespace()
    else:
        if "--throwaway" in options:
            _hand_over(command)
        _become_nobody()
    os.execv(command[0], command)


if __name__ == "__main__":
    try:
        _become_program(sys.argv[1:])
    except OSError as problem:
        sys.exit(problem.strerror or str(problem))
