"""The commands about the installation: migrate, export, status, verify, lint, selftest, uninstall."""

import itertools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from bookingdb import database
from bookingdb.checks import acknowledgements, lint, selftest, verify
from bookingdb.checks.finding import Finding
from bookingdb.cli import REFUSED
from bookingdb.cli.console import open_database, print_table
from bookingdb.cli.options import database_url_option, json_option
from bookingdb.cli.output import print_document, print_json, remark, say
from bookingdb.install import export, installer, owner, time_zones, trust
from bookingdb.install import uninstall as removing


def mention(what: str | None) -> None:
    """Print a remark on standard error, if there is one."""
    if what:
        remark(what)


@click.command()
@database_url_option
@click.option("--dry-run", is_flag=True, help="Print the SQL that would run, and change nothing.")
@click.option(
    "--reapply",
    is_flag=True,
    help="Apply functions, triggers, policies and grants again: puts back what was changed by hand.",
)
@click.option(
    "--downgrade",
    is_flag=True,
    help="Put this package's functions in the place of a newer version's, which migrate refuses otherwise.",
)
@json_option
def migrate(database_url: str | None, dry_run: bool, reapply: bool, downgrade: bool, as_json: bool) -> None:
    """Install bookingdb, or bring it to this version: everything in one transaction, or nothing."""
    with open_database(database_url) as connection:
        report = installer.migrate(connection, dry_run=dry_run, reapply=reapply, downgrade=downgrade)
        if not dry_run:
            mention(time_zones.summary(time_zones.sessions_off_time(connection)))
    if as_json:
        print_json(
            {
                "migrations": report.migrations,
                "functions_applied": report.reason is not None,
                "reason": report.reason,
                "dry_run": dry_run,
                "statements": report.statements if dry_run else len(report.statements),
                "carried_over": report.carried_over,
                "not_carried_over": report.not_carried_over,
                "trusted_again": report.trusted_again,
                "not_trusted_again": report.not_trusted_again,
            }
        )
    elif report.is_empty:
        say("Nothing to do: the database is up to date." if not dry_run else "-- Nothing to do.")
    elif dry_run:
        print_document(report.script + "\n")
    else:
        for name in report.migrations:
            say(f"Applied migration {name}.")
        say(f"Applied functions, triggers, policies and grants ({report.reason}).")
        if report.carried_over:
            say(f"Trusted in this database, as members of bookingdb_service were: {', '.join(report.carried_over)}.")
        if report.not_carried_over:
            say(
                "No longer trusted, because these members of bookingdb_service do not inherit from it:"
                f" {', '.join(report.not_carried_over)}. `bookingdb trust ROLE` trusts a role that they take on."
            )
        if report.trusted_again:
            say(f"Trusted again, as before the tables were kept: {', '.join(report.trusted_again)}.")
        if report.not_trusted_again:
            say(
                "Not trusted again, because the role is gone or another one has its name:"
                f" {', '.join(report.not_trusted_again)}. `bookingdb trust ROLE` trusts one that you know."
            )


@click.command("export")
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
        output.write_text(export.sql_script(), encoding="utf-8", newline="\n")
        exported = export.Exported(output, written=True)
    else:
        script = export.sql_script()
        if as_json:
            print_json({"path": None, "written": False, "script": script})
        else:
            print_document(script)
        return
    if as_json:
        print_json({"path": exported.path, "written": exported.written, "script": None})
    else:
        say(f"{'Wrote' if exported.written else 'Nothing to write, this version is in'} {exported.path}")


@click.command("status")
@database_url_option
@json_option
def installation_status(database_url: str | None, as_json: bool) -> None:
    """Show what was installed, when and by whom, and what is pending."""
    with open_database(database_url) as connection:
        found = installer.status(connection)
    pending = [file.name for file in found.pending.migrations]
    if as_json:
        print_json(
            {
                "history": found.history,
                "pending_migrations": pending,
                "functions_pending": found.pending.reason is not None,
                "reason": found.pending.reason,
                "newer": found.newer,
                "trusted": found.trusted,
                "always_open": found.always_open,
            }
        )
        sys.exit(REFUSED if found.newer else 0)
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
    if found.newer:
        mention(found.newer)
        sys.exit(REFUSED)
    for name in pending:
        say(f"Pending: migration {name}.")
    if found.pending.reason:
        say(f"Pending: functions, triggers, policies and grants ({found.pending.reason}).")
    if found.history:
        say(f"Trusted, besides the owner and superusers: {', '.join(found.trusted) or 'nobody'}.")
    if found.always_open is not None:
        say(f"Therapists without weekly hours, who can be booked at any time: {found.always_open}.")
    say("Up to date." if found.pending.is_empty else "Run `bookingdb migrate`.")


@click.command("trust")
@click.argument("role")
@click.option("--revoke", is_flag=True, help="Take the right away again.")
@click.option("--worker", is_flag=True, help="Let it deliver events, too, and so read the secrets of destinations.")
@database_url_option
@json_option
def trust_role(role: str, revoke: bool, worker: bool, database_url: str | None, as_json: bool) -> None:
    """Let ROLE act for anyone in this database, as an application's server does."""
    with open_database(database_url) as connection:
        is_trusted = trust.trust(connection, role, revoke=revoke, worker=worker)
    if worker:
        _say_worker(role, is_trusted, revoke, as_json)
    elif as_json:
        print_json({"role": role, "trusted": is_trusted})
    elif revoke and is_trusted:
        say(f"{role} is trusted all the same: it is a superuser, or inherits from a role that is trusted.")
    else:
        say(f"{role} {'may act for anyone in this database' if is_trusted else 'is no longer trusted'}.")


def _say_worker(role: str, is_worker: bool, revoke: bool, as_json: bool) -> None:
    if as_json:
        print_json({"role": role, "worker": is_worker})
    elif revoke and is_worker:
        say(f"{role} delivers events all the same: it is a superuser, or inherits from a role that does.")
    else:
        say(f"{role} {'may deliver events of this database' if is_worker else 'delivers events no longer'}.")


@click.command("verify")
@database_url_option
@click.option(
    "--acknowledge",
    "ids",
    metavar="ID",
    multiple=True,
    help="Record that you have looked at a finding that nothing can repair; may be given again. Needs --reason.",
)
@click.option("--reason", help="Why it may stay.")
@click.option("--acknowledged", is_flag=True, help="List what was acknowledged, when, by whom and why, and end.")
@json_option
def verify_installation(
    database_url: str | None, ids: Sequence[str], reason: str | None, acknowledged: bool, as_json: bool
) -> None:
    """Compare the database with what this package installs, and check the invariants; exit 1 on a finding.

    A finding that nothing can repair ends with its ID. Once it is acknowledged, it is not reported again, until
    anything about it changes.
    """
    if bool(ids) != bool(reason) or (acknowledged and ids):
        raise click.UsageError("--acknowledge and --reason go together, and --acknowledged alone.")
    with open_database(database_url, accepts_more_rights=not (acknowledged or ids)) as connection:
        if acknowledged:
            list_acknowledged(acknowledgements.read(connection), as_json)
            return
        if found := owner.more_rights(connection):
            mention(
                f"{found.login} has more rights than {found.owner}, so the catalogue alone was compared; to check the"
                f" rows, the history and the invariants, and what an adoption accepted, {found.remedy}"
            )
        findings = verify.verify(connection)
        if reason:
            if unknown := set(ids) - {finding.id for finding in findings}:
                raise click.UsageError(f"There is no such finding: {', '.join(sorted(unknown))}.")
            seen = [finding for finding in findings if finding.id in ids]
            acknowledgements.acknowledge(connection, seen, reason)
            mention(f"acknowledged {len(seen)} finding(s)")
            findings = [finding for finding in findings if finding not in seen]
    report_findings(findings, as_json, "Verified")


def list_acknowledged(found: Sequence[acknowledgements.Acknowledgement], as_json: bool) -> None:
    """Print the findings that were acknowledged."""
    if as_json:
        print_json([acknowledgement.to_dict() for acknowledgement in found])
        return
    print_table(
        [
            {
                "finding": f"{acknowledgement.object}: {acknowledgement.problem}",
                "reason": acknowledgement.reason,
                "by": acknowledgement.acknowledged_by,
                "at": acknowledgement.acknowledged_at,
            }
            for acknowledgement in found
        ],
        "Nothing was acknowledged.",
    )


@click.command("lint")
@database_url_option
@json_option
def lint_installation(database_url: str | None, as_json: bool) -> None:
    """Check what is installed, and what hangs on its tables, against Supabase's advisors; exit 1 on a finding."""
    with open_database(database_url) as connection:
        findings = lint.lint(connection)
    report_findings(findings, as_json, "Linted", {rule.name: f"{rule.name}: {rule.title}" for rule in lint.rules()})


def report_findings(
    findings: Sequence[Finding], as_json: bool, done: str, headings: Mapping[str, str] | None = None
) -> None:
    """Print findings by group, or that there are none after what was `done`; exit 1 when there are.

    `headings` are of groups that have another one than their name.
    """
    if as_json:
        print_json([finding.to_dict() for finding in findings])
    else:
        for group, members in itertools.groupby(findings, key=lambda finding: finding.group):
            say((headings or {}).get(group, group), bold=True)
            for finding in members:
                settled = f" [{finding.id}]" if finding.is_settled else ""
                say(f"  {finding.object}: {finding.problem}. {finding.remedy}{settled}")
        say(f"{len(findings)} finding(s)." if findings else f"{done}: no findings.")
    if findings:
        sys.exit(REFUSED)


@click.command("selftest")
@database_url_option
@json_option
def run_selftest(database_url: str | None, as_json: bool) -> None:
    """Try the guarantees on this database with people of its own, and leave nothing behind; exit 1 if one fails."""
    checks: list[selftest.Check] = []

    def report(check: selftest.Check) -> None:
        checks.append(check)
        if not as_json:
            mark = click.style("ok    ", fg="green") if check.passed else click.style("FAILED", fg="red")
            say(f"{check.name}{': ' if check.detail else ''}{check.detail}", mark=f"{mark} ")

    with open_database(database_url) as connection:
        passed = selftest.selftest(connection, database.resolve(database_url), report)
    if as_json:
        print_json([{"name": check.name, "passed": check.passed, "detail": check.detail} for check in checks])
    if not passed:
        sys.exit(REFUSED)


@click.command()
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
        print_document(removal.script + "\n")
    left = [f"  {what} ({because})" for what, because in removal.left.items()]
    title = "Left in the database:" if left else "Nothing is left."
    way_back = ["`bookingdb migrate` takes the tables up again."] if keep_data else []
    for line in [title, *left, *way_back]:
        # After a dry run the output is SQL, and this a comment in it.
        say(f"-- {line}" if dry_run else line)
