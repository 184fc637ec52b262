"""The command `bookingdb`: parse, call, print.

Exit codes: 0 done; 1 refused, or something was found; 2 wrong usage, or no database that answers.
Results go to standard output; errors (one line, no traceback) and which database was used, to standard error.
"""

import itertools
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import psycopg

from bookingdb import Bookings, database, export, installer, lint, selftest, verify
from bookingdb import uninstall as removing
from bookingdb.cli_adopt import adopt
from bookingdb.cli_availability import AVAILABILITY_COMMANDS
from bookingdb.cli_bench import bench_group
from bookingdb.cli_credits import credits_group
from bookingdb.cli_policy import policy
from bookingdb.cli_sessions import SESSION_COMMANDS
from bookingdb.console import (
    REFUSED,
    Command,
    database_url_option,
    json_option,
    open_database,
    print_json,
    print_table,
    print_value,
)
from bookingdb.embedded import LocalServer, LocalServerError, Status
from bookingdb.errors import BookingError
from bookingdb.source import SourceError

UNREACHABLE = 2


class Commands(click.Group):
    """A group of commands whose errors become one line on standard error and an exit code."""

    def invoke(self, context: click.Context) -> Any:
        """Run the command; the module lists the exit codes. With BOOKINGDB_DEBUG=1 errors show where."""
        try:
            return super().invoke(context)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise  # click's own: it knows what to do with them
        except BrokenPipeError:
            raise  # a reader such as `head` has seen enough; click knows that, too
        except Exception as error:
            if os.environ.get("BOOKINGDB_DEBUG"):
                raise
            message, exit_code = explain(error)
            click.echo(f"bookingdb: {message}", err=True)
            sys.exit(exit_code)


def explain(error: Exception) -> tuple[str, int]:
    """What to say about `error`, and the exit code.

    Example: ``explain(NoDatabase("no database"))`` is ``("no database", 2)``
    """
    line = " ".join(str(error).split())
    match error:
        case database.DatabaseUnreachable() | database.NoDatabase():
            message, exit_code = line, UNREACHABLE
        case LocalServerError():
            message, exit_code = str(error), REFUSED  # the end of the server's log may follow
        case BookingError():
            message, exit_code = f"{error.code}: {line}", REFUSED
        case installer.InstallError() | export.ExportError() | SourceError() | selftest.SelftestError():
            message, exit_code = line, REFUSED
        case psycopg.OperationalError() if (error.sqlstate or "08").startswith(("08", "57P")):
            message, exit_code = f"the database went away: {line}", UNREACHABLE
        case psycopg.Error():
            # Later lines point into a statement that the user did not write.
            first = str(error).partition("\n")[0]
            message, exit_code = f"the database refused: {first} ({error.sqlstate})", REFUSED
        case OSError(filename=str(name)):
            message, exit_code = f"{name}: {error.strerror}", REFUSED
        case _:
            message = f"unexpected {type(error).__name__}: {line} (BOOKINGDB_DEBUG=1 shows where)"
            exit_code = REFUSED
    return message, exit_code


def mention(remark: str | None) -> None:
    """Print a remark on standard error, if there is one."""
    if remark:
        click.echo(f"bookingdb: {remark}", err=True)


@click.group(cls=Commands)
@click.version_option(package_name="bookingdb")
def main() -> None:
    """Appointment booking with prepaid credits, in your own Postgres."""


@main.group()
def local() -> None:
    """Start and stop a Postgres of your own on this machine."""


def data_dir_option(command: Command) -> Command:
    """Give a command the option ``--data-dir``, as the parameter `data_dir`."""
    return click.option(
        "--data-dir",
        metavar="FOLDER",
        type=click.Path(path_type=Path, file_okay=False),
        help="Where the server keeps its data; default: bookingdb/postgres in the XDG data home.",
    )(command)


@local.command()
@data_dir_option
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="The TCP port, 0 for a free one; default: the one it had before, at first 5544 if that is free.",
)
@json_option
def start(data_dir: Path | None, port: int | None, as_json: bool) -> None:
    """Start the server; the first time, make it."""
    server = LocalServer(data_dir)
    port_before = server.status().port
    started = server.start(port)
    status = server.status()
    if as_json:
        print_json({"started": started} | _as_json(status))
    else:
        click.echo(f"The server {'started' if started else 'already runs'}: {_where(status)}.")
    if port is None and port_before not in (None, status.port):
        click.echo(f"bookingdb: port {port_before}, which the server had before, was taken", err=True)


@local.command()
@data_dir_option
@json_option
def stop(data_dir: Path | None, as_json: bool) -> None:
    """Stop the server; its data stays."""
    server = LocalServer(data_dir)
    stopped = server.stop()
    if as_json:
        print_json({"stopped": stopped} | _as_json(server.status()))
    else:
        click.echo("The server stopped." if stopped else "The server did not run.")


@local.command()
@data_dir_option
@json_option
def status(data_dir: Path | None, as_json: bool) -> None:
    """Say whether the server runs, and where; exit 1 when it does not."""
    found = LocalServer(data_dir).status()
    if as_json:
        print_json(_as_json(found))
    else:
        state = f"runs: {_where(found)}" if found.running else f"does not run (data: {found.data_dir})"
        click.echo(f"The server {state}.")
    if not found.running:
        sys.exit(REFUSED)


@local.command()
@data_dir_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def reset(data_dir: Path | None, yes: bool, as_json: bool) -> None:
    """Throw all data away and start again, empty, with the same port and password."""
    server = LocalServer(data_dir)
    if not yes:
        click.confirm(f"Delete all data in {server.data_dir}?", abort=True, err=True)
    server.reset()
    if as_json:
        print_json(_as_json(server.status()))
    else:
        click.echo(f"The server started, empty: {_where(server.status())}.")


@local.command("psql-url")
@data_dir_option
def psql_url(data_dir: Path | None) -> None:
    """Print the URL of the running server, with its password: psql "$(bookingdb local psql-url)"."""
    server = LocalServer(data_dir)
    if not server.status().running:
        raise database.NoDatabase("the local server does not run; start it with `bookingdb local start`")
    click.echo(server.url())


def _where(status: Status) -> str:
    return f"127.0.0.1:{status.port}, process {status.pid}, data in {status.data_dir}"


def _as_json(status: Status) -> dict[str, Any]:
    return {
        "running": status.running,
        "pid": status.pid,
        "host": "127.0.0.1",
        "port": status.port,
        "socket_dir": status.socket_dir,
        "data_dir": status.data_dir,
    }


@main.command()
@database_url_option
@click.option("--dry-run", is_flag=True, help="Print the SQL that would run, and change nothing.")
@click.option(
    "--reapply",
    is_flag=True,
    help="Apply functions, triggers, policies and grants again: puts back what was changed by hand.",
)
@json_option
def migrate(database_url: str | None, dry_run: bool, reapply: bool, as_json: bool) -> None:
    """Install bookingdb, or bring it to this version: everything in one transaction, or nothing."""
    with open_database(database_url) as connection:
        report = installer.migrate(connection, dry_run=dry_run, reapply=reapply)
        if not dry_run:
            mention(installer.missing_role(connection))
    if as_json:
        print_json(
            {
                "migrations": report.migrations,
                "functions_applied": report.reason is not None,
                "reason": report.reason,
                "dry_run": dry_run,
                "statements": report.statements if dry_run else len(report.statements),
            }
        )
    elif report.is_empty:
        click.echo("Nothing to do: the database is up to date." if not dry_run else "-- Nothing to do.")
    elif dry_run:
        click.echo(report.script)
    else:
        for name in report.migrations:
            click.echo(f"Applied migration {name}.")
        click.echo(f"Applied functions, triggers, policies and grants ({report.reason}).")


@main.command("export")
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["sql", "supabase"]),
    default="sql",
    show_default=True,
    help="One script for an SQL editor or psql, or a migration for the Supabase CLI.",
)
@click.option(
    "--output",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="sql: the file, default: standard output. supabase: the folder, default: supabase/migrations.",
)
@json_option
def export_sql(output_format: str, output: Path | None, as_json: bool) -> None:
    """Write the SQL that does what migrate does, to be brought in by other means; needs no database.

    It installs this version or upgrades to it, in one statement, and may be run again. In the supabase format every
    version that is exported adds one migration file to the folder.
    """
    if output_format == "supabase":
        exported = export.write_migration(output or export.SUPABASE_FOLDER)
    elif output is not None:
        output.write_text(export.script(), encoding="utf-8", newline="\n")
        exported = export.Exported(output, written=True)
    else:
        script = export.script()
        if as_json:
            print_json({"path": None, "written": False, "script": script})
        else:
            click.echo(script, nl=False)
        return
    if as_json:
        print_json({"path": exported.path, "written": exported.written, "script": None})
    else:
        click.echo(f"{'Wrote' if exported.written else 'Nothing to write, this version is in'} {exported.path}")


@main.command("status")
@database_url_option
@json_option
def installation_status(database_url: str | None, as_json: bool) -> None:
    """Show what was installed, when and by whom, and what is pending."""
    with open_database(database_url) as connection:
        found = installer.status(connection)
        mention(installer.missing_role(connection))
    pending = [file.name for file in found.pending.migrations]
    if as_json:
        print_json(
            {
                "history": found.history,
                "pending_migrations": pending,
                "functions_pending": found.pending.reason is not None,
                "reason": found.pending.reason,
            }
        )
        return
    print_table(
        [
            {
                "applied": row["applied_at"],
                "what": row["kind"],
                "name": row["name"],
                "version": row["version"],
                "by": row["applied_by"],
                "checksum": row["checksum"][:12],
            }
            for row in found.history
        ],
        "Nothing is installed.",
    )
    for name in pending:
        click.echo(f"Pending: migration {name}.")
    if found.pending.reason:
        click.echo(f"Pending: functions, triggers, policies and grants ({found.pending.reason}).")
    click.echo("Up to date." if found.pending.is_empty else "Run `bookingdb migrate`.")


@main.command("verify")
@database_url_option
@json_option
def verify_installation(database_url: str | None, as_json: bool) -> None:
    """Compare the database with what this package installs, and check the invariants; exit 1 on a finding."""
    with open_database(database_url) as connection:
        findings = verify.verify(connection)
    report_findings(findings, as_json, "Verified")


@main.command("lint")
@database_url_option
@json_option
def lint_installation(database_url: str | None, as_json: bool) -> None:
    """Check what is installed, and what hangs on its tables, against Supabase's advisors; exit 1 on a finding."""
    with open_database(database_url) as connection:
        findings = lint.lint(connection)
    report_findings(findings, as_json, "Linted", {rule.name: f"{rule.name}: {rule.title}" for rule in lint.RULES})


def report_findings(
    findings: Sequence[verify.Finding], as_json: bool, done: str, headings: Mapping[str, str] | None = None
) -> None:
    """Print findings by group, or that there are none after what was `done`; exit 1 when there are.

    `headings` are of groups that have another one than their name.
    """
    if as_json:
        print_json([finding.to_dict() for finding in findings])
    else:
        for group, members in itertools.groupby(findings, key=lambda finding: finding.group):
            click.secho((headings or {}).get(group, group), bold=True)
            for finding in members:
                click.echo(f"  {finding.object}: {finding.problem}. {finding.remedy}")
        click.echo(f"{len(findings)} finding(s)." if findings else f"{done}: no findings.")
    if findings:
        sys.exit(REFUSED)


@main.command("selftest")
@database_url_option
@json_option
def run_selftest(database_url: str | None, as_json: bool) -> None:
    """Try the guarantees on this database with people of its own, and leave nothing behind; exit 1 if one fails."""
    checks: list[selftest.Check] = []

    def report(check: selftest.Check) -> None:
        checks.append(check)
        if not as_json:
            mark = click.style("ok    ", fg="green") if check.passed else click.style("FAILED", fg="red")
            click.echo(f"{mark} {check.name}{': ' if check.detail else ''}{check.detail}")

    with open_database(database_url) as connection:
        passed = selftest.selftest(connection, database.resolve(database_url).conninfo, report)
    if as_json:
        print_json([{"name": check.name, "passed": check.passed, "detail": check.detail} for check in checks])
    if not passed:
        sys.exit(REFUSED)


@main.command()
@database_url_option
@click.option("--keep-data", is_flag=True, help="Leave the tables with their rows; print what is left.")
@click.option("--dry-run", is_flag=True, help="Print the SQL that would run and what would be left; change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def uninstall(database_url: str | None, keep_data: bool, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Remove bookingdb: functions, triggers, policies, and without --keep-data every table with its rows."""
    with open_database(database_url) as connection:
        if not (keep_data or dry_run or yes):
            click.confirm("Delete all users, sessions and credits with everything else?", abort=True, err=True)
        removal = removing.uninstall(connection, keep_data=keep_data, dry_run=dry_run)
    if as_json:
        print_json(
            {
                "dry_run": dry_run,
                "statements": removal.statements if dry_run else len(removal.statements),
                "left": removal.left,
            }
        )
        return
    if dry_run:
        click.echo(removal.script)
    left = [f"  {what} ({remark})" for what, remark in removal.left.items()]
    title = "Left in the database:" if left else "Nothing is left."
    for line in [title, *left]:
        # After a dry run the output is SQL, and this a comment in it.
        click.echo(f"-- {line}" if dry_run else line)


@main.group()
def register() -> None:
    """Register clients and therapists; the same person again is the same id."""


def person_options(command: Command) -> Command:
    """Give a command the e-mail address and the options of a person."""
    for option in (
        click.option("--id", "user_id", metavar="UUID", help="The id to give them; default: a new one."),
        click.option("--name", "full_name", help="Their full name."),
        click.argument("email"),
    ):
        command = option(command)
    return command


@register.command("client")
@person_options
@database_url_option
@json_option
def register_client(
    email: str, full_name: str | None, user_id: str | None, database_url: str | None, as_json: bool
) -> None:
    """Register a client and print the id."""
    with open_database(database_url) as connection:
        client = Bookings(connection).register_client(email, full_name=full_name, user_id=user_id)
    print_value("id", client, as_json)


@register.command("therapist")
@person_options
@click.option("--time-zone", metavar="ZONE", help="IANA zone in which their sessions' local times are meant.")
@database_url_option
@json_option
def register_therapist(
    email: str,
    full_name: str | None,
    user_id: str | None,
    time_zone: str | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Register a therapist and print the id."""
    with open_database(database_url) as connection:
        therapist = Bookings(connection).register_therapist(
            email, full_name=full_name, user_id=user_id, time_zone=time_zone
        )
    print_value("id", therapist, as_json)


for command in (adopt, bench_group, credits_group, policy, *SESSION_COMMANDS, *AVAILABILITY_COMMANDS):
    main.add_command(command)

if __name__ == "__main__":
    main()
