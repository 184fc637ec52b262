"""The commands that measure: bench slots."""

import click

from bookingdb import bench, database
from bookingdb.console import database_url_option, json_option, print_json, print_table


@click.group("bench")
def bench_group() -> None:
    """Measure what things cost, as ratios, in a database that is made for it and dropped afterwards."""


@bench_group.command()
@click.option(
    "--sessions", type=click.IntRange(20_000), default=1_000_000, show_default=True, help="How many there are."
)
@click.option("--therapists", type=click.IntRange(500), default=5_000, show_default=True, help="How many there are.")
@database_url_option
@json_option
def slots(sessions: int, therapists: int, database_url: str | None, as_json: bool) -> None:
    """Free times: against a grid, among few and many sessions, of one and thousands of therapists.

    Needs a superuser of the server: sessions are written behind the triggers.
    """
    target = database.resolve(database_url)
    database.connect(target).close()
    comparisons = bench.slots(
        target.conninfo, sessions=sessions, therapists=therapists, report=lambda line: click.echo(line, err=True)
    )
    rows = [
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
