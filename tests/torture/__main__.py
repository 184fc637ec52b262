"""Run scenarios, print their figures, and write them into docs/reliability.md."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import click

from tests.torture import (
    ambiguous,
    backup,
    clock,
    crash,
    deliveries,
    failover,
    figures,
    full_wal,
    fuzz,
    interruptions,
    pooling,
    races,
    server,
    settings,
    upgrade,
)


@dataclass(frozen=True)
class Scenario:
    """What runs it, under which name in the table; and how many of what it counts are promised, if it is a number."""

    title: str
    run: Callable[..., figures.Figures]
    promised: int | None = None


# By the name on the command line.
SCENARIOS = {
    "one-slot": Scenario(races.ONE_SLOT, races.one_slot, 10_000),
    "crash": Scenario(crash.NAME, crash.torture, 100),
    "interruptions": Scenario(interruptions.NAME, interruptions.torture),
    "full-wal": Scenario(full_wal.NAME, full_wal.torture),
    "ambiguous": Scenario(ambiguous.NAME, ambiguous.torture, 10_000),
    "one-key": Scenario(races.ONE_KEY, races.one_key, 3_000),
    "old-snapshots": Scenario(races.OLD_SNAPSHOTS, races.old_snapshots, 3_000),
    "deadlocks": Scenario(races.DEADLOCKS, races.deadlocks, 1_000_000),
    "failover": Scenario(failover.NAME, failover.torture),
    "pooler": Scenario(pooling.NAME, pooling.torture),
    "settings": Scenario(settings.NAME, settings.torture),
    "clock": Scenario(clock.NAME, clock.torture),
    "upgrade": Scenario(upgrade.NAME, upgrade.torture),
    "migrate": Scenario(upgrade.EVERY_STATEMENT, upgrade.every_statement, 10_000),
    "fuzz": Scenario(fuzz.NAME, fuzz.torture, 1_000_000),
    "deliveries": Scenario(deliveries.NAME, deliveries.torture),
    "backup": Scenario(backup.NAME, backup.torture),
}


@click.command()
@click.option("--quick", is_flag=True, help="A few seconds a scenario; nothing is written.")
@click.option("--full", is_flag=True, help="Until every count that is promised has been reached, some hour.")
@click.option("--seconds", type=float, default=90, show_default=True, help="How long a scenario lasts.")
@click.argument("scenario", nargs=-1, type=click.Choice(list(SCENARIOS)))
def main(quick: bool, full: bool, seconds: float, scenario: tuple[str, ...]) -> None:
    """Torture bookingdb, in every way or in the ways named."""
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("torture").setLevel(logging.INFO)
    # Pools say which connections they lost, and this is about nothing else.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    rows, failed = [], False
    for name in scenario or SCENARIOS:
        chosen = SCENARIOS[name]
        begun = time.monotonic()
        with server.running() as own:
            if full and chosen.promised is not None:
                found = chosen.run(own, float("inf"), chosen.promised)
            else:
                found = chosen.run(own, 4 if quick else seconds)
            cells = found.cells(server.machine(own))
        rows.append(figures.row(cells))
        click.echo(rows[-1])
        click.echo(f"{name}: {time.monotonic() - begun:.0f} s", err=True)
        for failure in found.failures[:20]:
            click.echo(failure, err=True)
        failed = failed or bool(found.failures)
        if not quick:
            # One at a time: what was measured is kept, whatever becomes of the rest.
            titles = [other.title for other in SCENARIOS.values()]
            figures.write_row(figures.BEGIN, figures.END, figures.HEAD, cells, titles)
    click.echo("\n" + figures.table(figures.HEAD, rows))
    sys.exit(failed)


if __name__ == "__main__":
    main()
