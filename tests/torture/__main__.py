"""Run scenarios, print their figures, and write them into docs/reliability.md."""

from __future__ import annotations

import logging
import sys
import time

import click

from tests.torture import ambiguous, crash, figures, server

SCENARIOS = {module.__name__.rpartition(".")[2]: module for module in (crash, ambiguous)}


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
            found = SCENARIOS[name].torture(own, 4 if quick else seconds)
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
        figures.write(measured, [module.NAME for module in SCENARIOS.values()], machine)


if __name__ == "__main__":
    main()
