"""The benchmark's commands: ``python -m tests.benchmark`` and, of free times, ``python -m tests.benchmark slots``."""

import datetime as dt
import itertools
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any

import click
import psycopg

from bookingdb import database
from bookingdb.cli import REFUSED
from bookingdb.cli.console import print_table
from bookingdb.cli.main import Commands
from bookingdb.cli.options import database_url_option, json_option, options
from bookingdb.cli.output import print_json
from bookingdb.local.server import LocalServer, default_data_dir
from tests.benchmark import adopting, measurement, network, scratch, targets, upgrading, workloads
from tests.benchmark import budget as budget_table
from tests.benchmark import slots as slots_benchmark
from tests.benchmark import year as simulation
from tests.benchmark.contenders import Numbers
from tests.benchmark.report import Report
from tests.benchmark.run import Plan, Run
from tests.benchmark.upgrading import waiting

scale_options = options(
    click.option("--quick", "scale", flag_value="quick", default="quick", help="Less than a minute; the default."),
    click.option("--full", "scale", flag_value="full", help="At least ten rounds of everything."),
)


@click.group(cls=Commands, invoke_without_command=True)
@scale_options
@click.option(
    "--only",
    multiple=True,
    metavar="WORKLOAD",
    type=click.Choice(tuple(workloads.WORKLOADS)),
    help="Only this one; repeat it.",
)
@click.option("--targets", "only_targets", is_flag=True, help="Only what the table of targets needs.")
@click.option("--sessions", type=click.IntRange(0), help="How many there are before the first booking.")
@click.option("--clients", type=click.IntRange(1), help="How many can book.")
@click.option("--therapists", type=click.IntRange(2), help="How many can be booked.")
@click.option("--connections", multiple=True, type=click.IntRange(2, 500), help="Throughput with so many; repeat it.")
@click.option("--no-statistics", is_flag=True, help="Load without ANALYZE, to see that no plan needs it.")
@click.option("--rounds", type=click.IntRange(1), help="How often each contender has its turn.")
@click.option("--transactions", type=click.IntRange(10), help="Bookings of a contender in a round.")
@click.option("--json", "json_file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="For this.")
@click.option(
    "--output", metavar="FOLDER", type=click.Path(path_type=Path, file_okay=False), help="SVG and PNG plots go there."
)
@database_url_option
@click.pass_context
def main(
    context: click.Context,
    scale: str,
    only: tuple[str, ...],
    only_targets: bool,
    sessions: int | None,
    clients: int | None,
    therapists: int | None,
    connections: tuple[int, ...],
    no_statistics: bool,
    rounds: int | None,
    transactions: int | None,
    json_file: Path | None,
    output: Path | None,
    database_url: str | None,
) -> None:
    """Measure what things cost, as ratios, in a database that is made for it and dropped afterwards.

    Without a further command: bookings, side by side with the bare writes and with other ways to book. Needs a
    superuser of a server with fsync on; where none is named and the local server does not run, one of its own.
    """
    if context.invoked_subcommand is not None:
        return
    full = scale == "full"
    size = scratch.Size(
        clients=clients or (100_000 if full else 1_000),
        therapists=therapists or (2_000 if full else 500),
        sessions=sessions if sessions is not None else (1_000_000 if full else 5_000),
    )
    if only and only_targets:
        raise click.UsageError("--only and --targets exclude each other")
    if size.clients % size.therapists:
        raise click.UsageError("--clients must be a multiple of --therapists")
    plan = Plan(
        rounds=rounds or (10 if full else 2),
        transactions=transactions or (500 if full else 60),
        connections=connections or ((4, 16, 64) if full and not only_targets else (16,)),
        transactions_each=max((transactions or (500 if full else 60)) // 4, 10),
    )
    report = Report()
    names = only or tuple(workloads.of_the_targets(size.sessions) if only_targets else workloads.WORKLOADS)
    begun = time.monotonic()
    # Loading is a step, too.
    with (
        _server(database_url) as conninfo,
        scratch.callers(conninfo),
        _progress(1 + workloads.steps(plan, size.sessions, names)) as step,
    ):
        step(f"loading {size.sessions:,} sessions of {size.therapists:,} therapists")
        with scratch.made(conninfo, size, analyze=not no_statistics) as made:
            report.machine = {
                "cpus": os.cpu_count(),
                "system": platform.platform(),
                "postgres": measurement.server_version(made),
                "sessions": size.sessions,
                "clients": size.clients,
                "therapists": size.therapists,
                "rounds": plan.rounds,
                "statistics": not no_statistics,
                "memory": f"{_memory() / 2**30:.1f} GiB",
                "disk": measurement.file_system(made) or "not seen from here",
                "date": dt.datetime.now(dt.UTC).date().isoformat(),
                "version": version("bookingdb"),
            }
            workloads.carry_out(Run(made, plan, report, Numbers(made), step), names)
    report.machine["seconds"] = round(time.monotonic() - begun)
    if json_file is not None:
        json_file.write_text(json.dumps(report.to_dict(), indent=2, default=str) + "\n", encoding="utf-8")
    if output is not None:
        from tests.benchmark import plots  # noqa: PLC0415 (matplotlib takes a second)

        plots.draw(report, output)
    print_table(report.figures())
    click.echo()
    print_table(report.table())
    click.echo()
    print_table(targets.table([report]))
    if distant := network.table(report):
        click.echo()
        print_table(distant)
    click.echo(f"\nmeasured in {report.machine['seconds'] / 60:.1f} minutes")
    if report.profile is not None:
        click.echo(f"\nWhere the time goes; counting made it {report.profile.counting:.3g} times as long:")
        print_table(report.profile.table())
    for violation in report.violations:
        click.echo(f"bookingdb: {violation}", err=True)
    if report.violations:
        sys.exit(REFUSED)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[str], None]]:
    """Hand out what is told of each step as it begins: a bar on a terminal, numbered lines elsewhere."""
    done = itertools.count()
    if not sys.stderr.isatty():
        yield lambda what: click.echo(f"[{next(done) + 1}/{total}] {what}", err=True)
        return
    with click.progressbar(length=total, file=sys.stderr, item_show_func=lambda what: what or "") as bar:

        def step(what: str) -> None:
            # The bar counts what is over, and names what is being done.
            bar.update(1 if next(done) else 0, what)
            bar.render_progress()

        yield step
        bar.update(1)


@contextmanager
def _server(database_url: str | None) -> Iterator[str]:
    """The server that is named, or the local one, or a local one for this run.

    SIGTERM ends the block as Ctrl-C does, so that what was made and started goes. During that further signals are
    ignored: whoever is in a hurry has SIGKILL.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    previous = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with _running(database_url) as conninfo:
            yield conninfo
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def _running(database_url: str | None) -> Iterator[str]:
    try:
        target = database.resolve(database_url)
    except database.NoDatabase:
        server = LocalServer(default_data_dir().with_name("bench"))
        started = server.start(0)
        try:
            _give_memory(server)
            yield server.url()
        finally:
            if started:
                server.stop()
        return
    database.connect(target).close()
    yield target.conninfo


def _memory() -> int:
    """Return the bytes of memory that the machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _give_memory(server: LocalServer) -> None:
    """Let the benchmark's own server hold the databases of all contenders, so that none is written out for another."""
    megabytes = _memory() // 4 // 2**20
    with psycopg.connect(server.url(), autocommit=True) as connection:
        row = connection.execute("select pg_size_bytes(current_setting('shared_buffers'))").fetchone()
        if row == (megabytes * 2**20,):
            return
        connection.execute(f"alter system set shared_buffers = '{megabytes}MB'".encode())
    server.stop()
    server.start(0)


@main.command()
@click.option("--sessions", type=click.IntRange(0), default=1_000_000, show_default=True, help="How many there are.")
@click.option("--therapists", type=click.IntRange(2), default=5_000, show_default=True, help="How many there are.")
@click.option("--rounds", type=click.IntRange(1), default=15, show_default=True, help="How often both have their turn.")
@database_url_option
@json_option
def slots(sessions: int, therapists: int, rounds: int, database_url: str | None, as_json: bool) -> None:
    """Free times: against a grid, among few and many sessions, of one and thousands of therapists.

    Needs a superuser of the server: sessions are written behind the triggers.
    """
    with _server(database_url) as conninfo:
        comparisons = slots_benchmark.slots(
            conninfo, sessions=sessions, therapists=therapists, rounds=rounds,
            report=lambda line: click.echo(line, err=True),
        )  # fmt: skip
    rows: list[dict[str, Any]] = [
        {
            "what": each.what,
            "ms": round(each.milliseconds, 2),
            "compared with": each.other,
            "other ms": round(each.other_milliseconds, 2),
            "times as long": round(each.ratio, 2),
        }
        for each in comparisons
    ]
    if as_json:
        print_json(rows)
    else:
        print_table(rows)


@main.command()
@click.option("--therapists", type=click.IntRange(1), default=20, show_default=True, help="How many there are.")
@click.option("--write", is_flag=True, help="Put the table into docs/operating.md.")
@database_url_option
def year(therapists: int, write: bool, database_url: str | None) -> None:
    """A year of a practice: the size of every table, with housekeeping and without. Needs a superuser."""
    with _server(database_url) as conninfo:
        found = simulation.simulate(conninfo, therapists, 20 * therapists, lambda line: click.echo(line, err=True))
    click.echo(found.text(therapists))
    if write:
        simulation.write(found, therapists)


@main.command()
@click.option("--sessions", type=click.IntRange(0), default=1_000_000, show_default=True, help="How many there are.")
@click.option("--clients", type=click.IntRange(1), default=100_000, show_default=True, help="How many there are.")
@click.option("--therapists", type=click.IntRange(2), default=2_000, show_default=True, help="How many there are.")
@database_url_option
def upgrade(sessions: int, clients: int, therapists: int, database_url: str | None) -> None:
    """Upgrade a database of the version before while callers book: how long it takes, and how long they wait.

    Needs a superuser of the server: sessions are written behind the triggers.
    """
    if clients % therapists:
        raise click.UsageError("--clients must be a multiple of --therapists")
    size = scratch.Size(clients, therapists, sessions)
    with _server(database_url) as conninfo:
        found = upgrading.upgrade(conninfo, size, lambda line: click.echo(line, err=True))
    print_table(waiting(found.waits, found.begin, found.end))
    longest = max(waits.longest(found.begin, found.end) for waits in found.waits.values())
    click.echo(
        f"\nfrom {found.version}, {', '.join(found.migrations)} and the functions, among {sessions:,} sessions:"
        f" {found.seconds:.2f} s; a caller waited {longest:.2f} s at most"
    )


@main.command()
@click.option("--sessions", type=click.IntRange(0), default=200_000, show_default=True, help="How many there are.")
@click.option("--clients", type=click.IntRange(1), default=20_000, show_default=True, help="How many there are.")
@click.option("--therapists", type=click.IntRange(2), default=200, show_default=True, help="How many there are.")
@click.option("--to-come", type=click.IntRange(0, 100), default=20, show_default=True, help="Percent of the sessions.")
@click.option("--shifted", is_flag=True, help="Every session's instant is wrong, and repaired.")
@database_url_option
def adopt(sessions: int, clients: int, therapists: int, to_come: int, shifted: bool, database_url: str | None) -> None:
    """Adopt an application's database while its callers book: how long each stage takes, and how long they wait."""
    size = scratch.Size(clients, therapists, sessions)
    with _server(database_url) as conninfo:
        found = adopting.adopt(
            conninfo, size, to_come=to_come, shifted=shifted, report=lambda line: click.echo(line, err=True)
        )
    print_table(found.table())
    print_table(waiting(found.waits, found.stages[0][1], found.end))
    click.echo(f"\n{sessions:,} sessions, {found.rows:,} rows mended: a caller waited {found.longest:.2f} s at most")


@main.command()
@click.option("--write", is_flag=True, help="Make what is counted the budget.")
def budget(write: bool) -> None:
    """Count the instructions of calls by callgrind; exit 1 when one exceeds the budget."""
    found = budget_table.measured()
    kept = budget_table.write(found) if write else budget_table.read()
    print_table(kept.table(found))
    if exceeded := kept.exceeded(found):
        click.echo(f"more than {kept.tolerance:.0%} above the budget: {', '.join(exceeded)}", err=True)
        if (here := budget_table.machine()) != kept.machine:
            click.echo(f"the budget was counted on {kept.machine}, this on {here}", err=True)
        sys.exit(REFUSED)


if __name__ == "__main__":
    main(prog_name="python -m tests.benchmark")
