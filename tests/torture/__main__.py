"""Run scenarios, print their figures, and write them into docs/reliability.md."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable

import click

from tests.torture import (
    ambiguous,
    backup,
    crash,
    failover,
    figures,
    fuzz,
    interruptions,
    pooling,
    races,
    server,
    settings,
    upgrade,
)

# By the name on the command line: the name in the table, and what runs it.
SCENARIOS: dict[str, tuple[str, Callable[[server.Server, float], figures.Figures]]] = {
    "one-slot": (races.ONE_SLOT, races.one_slot),
    "crash": (crash.NAME, crash.torture),
    "interruptions": (interruptions.NAME, interruptions.torture),
    "ambiguous": (ambiguous.NAME, ambiguous.torture),
    "one-key": (races.ONE_KEY, races.one_key),
    "deadlocks": (races.DEADLOCKS, races.deadlocks),
    "failover": (failover.NAME, failover.torture),
    "pooler": (pooling.NAME, pooling.torture),
    "settings": (settings.NAME, settings.torture),
    "upgrade": (upgrade.NAME, upgrade.torture),
    "fuzz": (fuzz.NAME, fuzz.torture),
    "backup": (backup.NAME, backup.torture),
}


@click.command()
@click.option("--quick", is_flag=True, help="A few seconds a scenario; nothing is written.")
@click.option("--seconds", type=float, default=90, show_default=True, help="How long a scenario lasts.")
@click.argument("scenario", nargs=-1, type=click.Choice(list(SCENARIOS)))
def main(quick: bool, seconds: float, scenario: tuple[str, ...]) -> None:
    """Torture bookingdb, in every way or in the ways named."""
    # Pools say which connections they lost, and this is about nothing else.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    measured = []
    for name in scenario or SCENARIOS:
        begun = time.monotonic()
        with server.running() as own:
            found = SCENARIOS[name][1](own, 4 if quick else seconds)
            machine = server.machine(own)
        measured.append(found)
        click.echo(figures.row(found.cells()))
        click.echo(f"{name}: {time.monotonic() - begun:.0f} s", err=True)
        for failure in found.failures[:20]:
            click.echo(failure, err=True)
    click.echo("\n" + figures.table([figures.row(found.cells()) for found in measured]))
    if any(found.failures for found in measured):
        sys.exit(1)
    if not quick:
        figures.write(measured, [title for title, _ in SCENARIOS.values()], machine)


if __name__ == "__main__":
    main()
