"""The commands that measure: bench, bench slots."""

import importlib.util
import json
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from bookingdb import database
from bookingdb.console import REFUSED, database_url_option, json_option, options, print_json, print_table
from bookingdb.embedded import LocalServer, default_data_dir

_WORKLOADS = ("uncontended", "hot", "round-trips", "storm", "credits", "refusals", "isolation", "startup")

scale_options = options(
    click.option("--quick", "scale", flag_value="quick", default="quick", help="Less than a minute; the default."),
    click.option("--full", "scale", flag_value="full", help="At least ten rounds of everything."),
)


@click.group("bench", invoke_without_command=True)
@scale_options
@click.option("--only", multiple=True, metavar="WORKLOAD", type=click.Choice(_WORKLOADS), help="Only this one.")
@click.option("--sessions", type=click.IntRange(0), help="How many there are before the first booking.")
@click.option("--clients", type=click.IntRange(1), help="How many can book.")
@click.option("--therapists", type=click.IntRange(1), help="How many can be booked.")
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
def bench_group(
    context: click.Context,
    scale: str,
    only: tuple[str, ...],
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
    missing = [name for name in ("sqlalchemy", "matplotlib") if importlib.util.find_spec(name) is None]
    if missing:
        raise click.ClickException(f"{' and '.join(missing)} missing: pip install 'bookingdb[bench,local]'")
    # Only whoever measures waits for what measuring needs.
    from bookingdb.benchmark import measurement, scratch, workloads  # noqa: PLC0415 (of the extra bench)
    from bookingdb.benchmark.contenders import Numbers  # noqa: PLC0415 (of the extra bench)
    from bookingdb.benchmark.report import Report  # noqa: PLC0415 (of the extra bench)

    full = scale == "full"
    size = scratch.Size(
        clients=clients or (100_000 if full else 10_000),
        therapists=therapists or (2_000 if full else 500),
        sessions=sessions if sessions is not None else (1_000_000 if full else 10_000),
    )
    if size.clients % size.therapists:
        raise click.UsageError("--clients must be a multiple of --therapists")
    plan = workloads.Plan(
        rounds=rounds or (10 if full else 2),
        transactions=transactions or (500 if full else 60),
        connections=connections or ((4, 16, 64) if full else (16,)),
        transactions_each=max((transactions or (500 if full else 60)) // 4, 10),
    )
    report = Report()
    with _server(database_url) as conninfo:
        click.echo(f"loading {size.sessions:,} sessions of {size.therapists:,} therapists", err=True)
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
            }
            run = workloads.Run(made, plan, report, Numbers(made), _step)
            for name in only or tuple(workloads.WORKLOADS):
                workloads.WORKLOADS[name](run)
                workloads.check(run, name)
    if json_file is not None:
        json_file.write_text(json.dumps(report.to_dict(), indent=2, default=str) + "\n", encoding="utf-8")
    if output is not None:
        from bookingdb.benchmark import plots  # noqa: PLC0415 (matplotlib takes a second)

        plots.draw(report, output)
    print_table(report.figures())
    click.echo()
    print_table(report.table())
    for violation in report.violations:
        click.echo(f"bookingdb: {violation}", err=True)
    if report.violations:
        sys.exit(REFUSED)


def _step(what: str) -> None:
    click.echo(what, err=True)


@contextmanager
def _server(database_url: str | None) -> Iterator[str]:
    """The server that is named, or the local one, or a local one for this run."""
    try:
        target = database.resolve(database_url)
    except database.NoDatabase:
        server = LocalServer(default_data_dir().with_name("bench"))
        started = server.start(0)
        try:
            yield server.url()
        finally:
            if started:
                server.stop()
        return
    database.connect(target).close()
    yield target.conninfo


@bench_group.command()
@click.option(
    "--sessions", type=click.IntRange(2_000), default=1_000_000, show_default=True, help="How many there are."
)
@click.option("--therapists", type=click.IntRange(20), default=5_000, show_default=True, help="How many there are.")
@database_url_option
@json_option
def slots(sessions: int, therapists: int, database_url: str | None, as_json: bool) -> None:
    """Free times: against a grid, among few and many sessions, of one and thousands of therapists.

    Needs a superuser of the server: sessions are written behind the triggers.
    """
    from bookingdb.benchmark import slots as slots_benchmark  # noqa: PLC0415 (only whoever measures waits for it)

    with _server(database_url) as conninfo:
        comparisons = slots_benchmark.slots(
            conninfo, sessions=sessions, therapists=therapists, report=lambda line: click.echo(line, err=True)
        )
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
